"""What beat runs."""

from app.extensions import redis_client
from app.tasks import maintenance
from app.viewModels import wake_ups


def messages(queue):
    return redis_client.llen(f"setpoint:{queue}")


def test_a_task_that_waits_is_woken_for_again_when_redis_has_lost_its_data(submit):
    submit()
    submit()
    wake_ups.send_owed()  # they were sent, so that nothing is owed any more
    redis_client.delete("setpoint:default")

    maintenance.sweep()

    assert (messages("default"), messages("training")) == (2, 0)


def test_nothing_is_sent_when_nothing_waits(context):
    maintenance.sweep()

    assert messages("default") == 0


def test_a_long_queue_does_not_fill_redis(submit, monkeypatch):
    monkeypatch.setattr(maintenance, "MOST_WAKE_UPS", 2)
    for _ in range(4):
        submit()
    redis_client.delete("setpoint:default")
    wake_ups.send_owed()
    redis_client.delete("setpoint:default")

    maintenance.sweep()

    assert messages("default") == 2
