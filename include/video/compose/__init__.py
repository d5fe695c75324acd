"""From plan to MP4: timeline, overlays, captions, one ffmpeg graph per scene, music, mix, assembly."""
