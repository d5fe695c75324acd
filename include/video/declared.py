"""The stages of the video family, as DAG files and operators see them; light imports only.

`code` names what decides a stage's output, so that a change of the renderer does not make the writer write again.
"""

from include.stage.declared import Stage

WORDS = ("include/video/plan.py", "include/video/params.py", "include/video/stages.py")
TRENDS = (
    "include/video/trends",
    "include/video/scoring.py",
    "include/video/plan.py",
    "include/video/stages.py",
)
PICTURES = (
    "include/video/plan.py",
    "include/video/visuals",
    "include/video/compose",
    "include/video/fonts.py",
)

TREND_COLLECTION = Stage(
    "trend_collection",
    "video",
    body="include.video.stages:collect",
    # which source is read depends on the form; the run's facts name it, and no edge is declared that may not be
    outputs=("media/trends",),
    code=TRENDS,
    doc="Read trends from the chosen source and score them.",
)
TREND_ANALYSIS = Stage(
    "trend_analysis",
    "video",
    body="include.video.stages:analyse",
    inputs=("media/trends",),
    outputs=("media/reports",),
    code=(*TRENDS, "include/video/analysis.py"),
    doc="Say what the job's trends have in common.",
)
WRITE_SCRIPT = Stage(
    "content_generation.write_script",
    "video",
    body="include.video.stages:write_script",
    inputs=("media/trends", "media/reports"),
    outputs=("media/scripts",),
    fans_out=("scenes", "content_generation.render_scene"),
    code=(*WORDS, *TRENDS, "include/video/analysis.py", "include/video/writers", "include/video/prices.py"),
    doc="Write the production plan; every figure in it has evidence.",
)
SPEAK = Stage(
    "content_generation.speak",
    "video",
    body="include.video.stages:speak",
    inputs=("media/scripts",),
    outputs=("media/voiceovers", "media/words"),
    code=("include/video/plan.py", "include/video/stages.py", "include/video/voices"),
    doc="Speak the narration; tell when each word is said.",
)
RENDER_SCENE = Stage(
    "content_generation.render_scene",
    "video",
    body="include.video.stages:render_scene",
    inputs=("media/scripts", "media/words"),
    outputs=("media/scenes",),
    code=(*PICTURES, "include/video/stages.py"),
    doc="Render one scene; the key is its number.",
)
COMPOSITION = Stage(
    "composition",
    "video",
    body="include.video.stages:compose_video",
    inputs=("media/scripts", "media/voiceovers", "media/words", "media/scenes"),
    outputs=("media/captions", "media/music", "media/mixes", "media/videos", "media/thumbnails"),
    code=(*PICTURES, "include/video/stages.py"),
    doc="Make music, mix it under the voice, join the scenes, caption them; choose a thumbnail.",
)
REVIEW_MATERIAL = Stage(
    "review",
    "video",
    body="include.video.stages:review_material",
    inputs=("media/scripts", "media/words", "media/captions", "media/videos"),
    outputs=("media/quality", "media/reviews"),
    code=(*PICTURES, "include/video/quality.py", "include/video/stages.py"),
    doc="Make what a reviewer looks at: a contact sheet and the automatic quality report. The key is `material`.",
)
REVIEW = Stage(
    "review",
    "video",
    body="include.video.stages:record_decision",
    inputs=("media/videos", "media/reviews", "media/quality"),
    outputs=("media/decisions",),
    code=("include/video/stages.py",),
    doc="Record who decided what about which bytes. The key is `decision`.",
)
STAGES = (
    TREND_COLLECTION,
    TREND_ANALYSIS,
    WRITE_SCRIPT,
    SPEAK,
    RENDER_SCENE,
    COMPOSITION,
    REVIEW_MATERIAL,
    REVIEW,
)
