"""What the datasets of the video family are; light imports only."""

from include.lineage.facets import Declaration

OWNER = "content"


def _media(kind: str, form: str, description: str, classification: str = "internal") -> Declaration:
    return Declaration(description, kind, form, OWNER, classification, {"family": "video"})


MEDIA = {
    "media/trends": _media("trends", "json", "The trends that a job looks at, scored and in order."),
    "media/reports": _media(
        "report", "json", "What a job's trends have in common, with the figures behind it."
    ),
    "media/scripts": _media("script", "json", "The production plan of a video: scenes, words, evidence."),
    "media/voiceovers": _media("voiceover", "wav", "The spoken narration of a video."),
    "media/words": _media("words", "json", "When each word of the narration is said."),
    "media/music": _media("music", "wav", "The music under a video."),
    "media/mixes": _media("mix", "m4a", "Narration and music of a video, mixed to one level."),
    "media/scenes": _media("scene", "mp4", "The rendered scenes of a video, one file each."),
    "media/captions": _media("captions", "ass", "The captions of a video, from the times of its words."),
    "media/videos": _media("video", "mp4", "Finished videos with sound.", "public"),
    "media/thumbnails": _media("thumbnail", "png", "The picture that stands for a video.", "public"),
    "media/reviews": _media("review", "png", "What a reviewer looks at: a contact sheet of the video."),
    "media/quality": _media("quality", "json", "The automatic quality report of a video."),
    "media/decisions": _media("decision", "json", "Who decided what about which bytes of a video."),
}
LIVE = Declaration(
    "A live source of trends, as it answered.", "source", "json", OWNER, "public", {"layer": "source"}
)


def live() -> list[tuple[str, str]]:
    """Return namespace and name of every live source."""
    from include.video.trends import hacker_news

    return [(hacker_news.HOST, hacker_news.PATH.lstrip("/"))]


def declaration(namespace: str, name: str) -> Declaration | None:
    """Return what is declared of a medium or of a live source."""
    return LIVE if namespace.startswith("http") else MEDIA.get(name)
