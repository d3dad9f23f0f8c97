"""Two beats run schedules at once, and are killed: each time submits one task all the same."""

from dataclasses import replace

from sqlalchemy import update

from app.extensions import db
from app.models import Model, Schedule
from app.utils.clock import now_ms
from tests.support.servers import wait_until

N_SCHEDULES = 12


def test_two_beats_that_are_killed_over_and_over_submit_each_time_once(app, client, headers, run_plant, site):
    training = {"module_id": site.module_id, "kind": "linear"}
    made = [
        client.post(
            f"/api/v1/projects/{site.project_id}/schedules",
            json={"name": f"{n}", "cron": "0 0 1 1 *", "train": training},
            headers=headers,
        ).json
        for n in range(N_SCHEDULES)
    ]
    running = run_plant(n_workers=1)
    other_beat = replace(running.beat, name="beat2", log=running.beat.log.with_name("beat2.log"), pid=None)
    other_beat.command = [*running.beat.command[:-1], running.beat.command[-1] + "2"]
    other_beat.start()
    try:
        with app.app_context():
            n_before = db.session.query(Model).count()
            db.session.execute(update(Schedule).values(next_run_at=now_ms() - 1000))
            db.session.commit()
        done: list[str] = []

        def is_one_more_done() -> bool:
            left = [each["id"] for each in made if each["id"] not in done]
            done.extend(each for each in left if running.get(f"/schedules/{each}/runs")["total"])
            return len(left) > len([each for each in left if each not in done]) or not left

        for beat in (running.beat, other_beat, running.beat):
            wait_until(is_one_more_done, "a schedule to be run")
            beat.kill()
            beat.start()
        wait_until(lambda: is_one_more_done() and len(done) == N_SCHEDULES, "all schedules to be run", pause_s=0.2)
    finally:
        other_beat.kill()

    runs = [running.get(f"/schedules/{each['id']}/runs")["items"] for each in made]
    assert [[run["outcome"] for run in of_one] for of_one in runs] == [["submitted"]] * N_SCHEDULES
    running.wait_for_end([run["task_id"] for [run] in runs], deadline_s=90)
    with app.app_context():
        assert db.session.query(Model).count() == n_before + N_SCHEDULES
