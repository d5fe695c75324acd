"""### One short video from what is trending

Collects trends (a file, the lake's gold table, or Hacker News) and scores them; analyses what stands out; writes a plan,
speaks it and renders every scene on its own; composes the MP4; waits for a review (*Required actions* in this UI).

**Reads** `sources/trends` or `lake/gold/trends`. **Writes** everything below `media/`. Publishes nothing anywhere.

Every 6 hours it collects and analyses only; triggered by hand it runs in full, offline, with the defaults of the form.
**Safe to clear**: what is finished is reused, an edited scene is the only one rendered again.

Example: `{"theme": "Music that travels", "target_s": 18, "seed": 7, "review": "unattended"}`
"""

from airflow.sdk import dag, task_group

from include.operators.forms import form
from include.operators.job import CloseJobOperator, OpenJobOperator
from include.operators.retry import TASK_DEFAULTS
from include.operators.review import ReviewOperator
from include.operators.stage import StageOperator
from include.video import declared
from include.video.params import VideoParams


@dag(
    schedule="0 */6 * * *",
    doc_md=__doc__,
    tags=["video"],
    params=form(VideoParams),
    default_args=TASK_DEFAULTS,
    max_active_runs=4,
    catchup=False,
)
def video() -> None:
    """Wire the five stages."""
    opened = OpenJobOperator(task_id="open_job", model=VideoParams)
    closed = CloseJobOperator(
        task_id="close_job",
        requires=("trends", "report", "script", "scene", "voiceover", "video", "thumbnail", "decision"),
        requires_when_scheduled=("trends", "report"),
    ).as_teardown(setups=opened, on_failure_fail_dagrun=True)
    collected = StageOperator(task_id="trend_collection", stage=declared.TREND_COLLECTION)
    analysed = StageOperator(task_id="trend_analysis", stage=declared.TREND_ANALYSIS)

    @task_group
    def content_generation() -> None:
        """Write, speak, and render one scene per mapped task."""
        script = StageOperator(
            task_id="write_script", stage=declared.WRITE_SCRIPT, returns="scenes", only_when_triggered=True
        )
        spoken = StageOperator(task_id="speak", stage=declared.SPEAK)
        scenes = StageOperator.of_each("render_scene", declared.RENDER_SCENE)
        script >> spoken >> scenes.expand(key=script.output)

    composed = StageOperator(task_id="composition", stage=declared.COMPOSITION)
    reviewed = ReviewOperator(task_id="review", material=declared.REVIEW_MATERIAL, stage=declared.REVIEW)
    opened >> collected >> analysed >> content_generation() >> composed >> reviewed >> closed


video()
