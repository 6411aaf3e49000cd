"""The page of a sweep whose log is damaged or foreign."""

from pathlib import Path

from tests.tune.made_up import made_up
from tests.tune.report.test_cases import RATE, text_of
from tune.records.events import LOG_NAME
from tune.report import write_report


def test_events_of_the_wrong_types_are_left_out(tmp_path: Path) -> None:
    made = made_up(tmp_path, trials=3)
    location = made.write()
    with Path(location, "events.jsonl").open("a") as log:
        log.write('{"event":"tick","number":"<b>","trial_id":"t","images_seen":1,"numbers":{},"time":1}\n')
        log.write(
            '{"event":"tick","number":0,"trial_id":"t","images_seen":8,"numbers":{"a":"b"},"time":"x"}\n'
        )
        log.write('{"event":"tick","number":0,"trial_id":[],"images_seen":8,"numbers":[],"time":2}\n')
        log.write(
            f'{{"event":"trial_started","number":1,"trial_id":"t","values":{{"{RATE}":"high"}},"time":1}}\n'
        )
        log.write('{"event":"trial_ended","number":2,"state":"<script>","time":1}\n')
    assert "<script>" not in text_of(Path(write_report([location])))


def test_a_line_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    location = made_up(tmp_path, trials=3).write()
    log = Path(location, LOG_NAME)
    lines = log.read_text().splitlines()
    lines[1] = lines[1][:-5]
    log.write_text("\n".join(lines) + "\n")
    text = text_of(Path(write_report([location])))
    assert "But 1 line of events.jsonl cannot be read, first line 2: what happened there is left out" in text
