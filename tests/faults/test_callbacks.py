"""Beat is killed while it tells of an end: what it had not told is told once it runs again."""

import threading

from tests.support.receiver import receiver
from tests.support.servers import wait_until


def test_what_ended_while_beat_was_dead_or_killed_in_a_try_is_told(run_plant, site):
    asked, may_answer = threading.Event(), threading.Event()

    def hold() -> None:
        asked.set()
        may_answer.wait(60)

    running = run_plant(n_workers=1, callback_private_addresses="allow")
    with receiver() as listener:
        listener.before_answer = hold
        path = f"/modules/{site.module_id}/models?callback_url={listener.url}"
        first = running.post(path, {"kind": "linear"})
        assert asked.wait(60), "the first try is being made"
        running.beat.kill()
        may_answer.set()
        second = running.post(path, {"kind": "linear"})
        running.wait_for_end([second["id"]], deadline_s=60)
        told_before = [task["id"] for task in listener.tasks]

        running.beat.start()
        wait_until(lambda: second["id"] in [task["id"] for task in listener.tasks], "the second end to be told")

    [broken_off] = running.get(f"/tasks/{first['id']}/deliveries")["items"]
    assert told_before == [first["id"]]
    assert (broken_off["state"], broken_off["attempts"]) == ("due", [])
    assert broken_off["next_at"] is not None, "it will be made again"
