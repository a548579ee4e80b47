"""`tocsin check --preview` and `--send`: what each channel would send, and what the other side answers."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import pytest

from tests.receiver.mailserver import inbox
from tests.receiver.test_command import script
from tocsin import check
from tocsin.kinds import KINDS

POLICY = """\
channels:
  here: {type: terminal}
  hook: {type: webhook, url: 'http://127.0.0.1:1/T0KEN', headers: {X-Team: shop}}
  mail: {type: email, smarthost: '127.0.0.1:PORT', from: tocsin@example.org, to: [ana@example.org]}
"""


def run(folder: Path, *arguments: str, port: int = 1, policy: str = POLICY) -> tuple[int, str]:
    (folder / "receiver.yml").write_text(policy.replace("PORT", str(port)))
    out = io.StringIO()
    status = check.main(arguments, kinds=KINDS, out=out, err=out, environ={}, folder=folder)
    return status, out.getvalue()


def test_each_channel_shows_what_it_would_send(tmp_path: Path) -> None:
    status, said = run(tmp_path, "--preview", "receiver.yml")
    assert status == 0
    here, hook, mail = said.split("--- ")[1:]
    assert here.startswith("here (terminal)\n")
    assert "[OPENED] T-0 info: A sample" in here
    assert hook.startswith("hook (webhook)\nPOST to 127.0.0.1\n")
    assert "Idempotency-Key: check" in hook
    assert '"alertname": "SampleAlert"' in hook
    assert "T0KEN" not in hook
    assert mail.startswith("mail (email)\n")
    assert "\nSubject: info: A sample: nothing is wrong (service=shop) (T-0)\n" in mail
    assert "\nOPENED info: A sample" in mail


def test_each_action_shows_what_it_would_run_and_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    program = script(tmp_path, f"open({str(mark)!r}, 'w')")
    actions = f"""actions:
  fix: {{command: [{program}, '--service={{service}}'], arguments: {{service: '[a-z]+'}}}}
  move: {{command: [{program}, '{{cluster}}'], arguments: {{cluster: '[a-z]+'}}}}
  hook: {{webhook: {{url: 'http://127.0.0.1:1/T0KEN'}}}}
redact: [{{labels: [service], as: masked}}]
"""
    status, said = run(tmp_path, "--preview", "receiver.yml", policy=actions)
    assert status == 0
    assert [each.strip() for each in said.split("--- ")[1:]] == [
        f"action:fix\nwould run: {program} --service=shop",
        (
            f"action:move\nwould run: {program} '{{cluster}}'\n"
            "for this sample not run: the alerts of the incident do not share a label cluster"
        ),
        "action:hook\nwould run: POST to 127.0.0.1, opened T-0",
    ]
    assert not mark.exists()


@pytest.mark.parametrize("flag", [["--preview"], ["--send", "mail"]])
def test_a_policy_with_faults_shows_and_sends_nothing(tmp_path: Path, flag: list[str]) -> None:
    status, said = run(tmp_path, *flag, policy="channels: {mail: {type: email}}")
    assert status == 1
    assert "channels.mail.smarthost: found nothing" in said
    assert "---" not in said


def test_one_message_is_sent_and_the_answer_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with inbox(answers=["250 thanks", "452 later", "554 never"]) as box:
            said = [await asyncio.to_thread(run, tmp_path, "--send", "mail", port=box.port) for _ in range(3)]
        assert [status for status, _ in said] == [0, 1, 1]
        assert [text.splitlines()[-1] for _, text in said] == [
            "mail: taken: 250 thanks",
            "mail: not taken, and would be tried again: answered 452 later",
            "mail: refused, and would not be tried again: answered 554 never",
        ]
        assert len(box.came) == 1

    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_channel_that_the_policy_does_not_have_is_said(tmp_path: Path) -> None:
    status, said = run(tmp_path, "--send", "pager")
    assert (status, said.splitlines()[-1]) == (
        1,
        "pager: found no such channel, expected one of: here, hook, mail",
    )


def test_an_action_is_not_tried_out(tmp_path: Path) -> None:
    action = "actions: {fix: {command: [/bin/true]}}\n"
    status, said = run(tmp_path, "--send", "fix", policy=POLICY + action)
    wanted = "fix: an action, which only a stage runs; --preview shows what it would be"
    assert (status, said.splitlines()[-1]) == (1, wanted)


def test_it_must_be_clear_which_policy_is_meant(tmp_path: Path) -> None:
    (tmp_path / "other.receiver.yml").write_text("channels: {here: {type: terminal}}\n")
    status, said = run(tmp_path, "--send", "mail")
    assert status == 2
    assert "found 2 policies" in said
    (tmp_path / "receiver.yml").unlink()
    (tmp_path / "other.receiver.yml").unlink()
    out = io.StringIO()
    assert check.main(["--preview"], kinds=KINDS, out=out, err=out, environ={}, folder=tmp_path) == 2
    assert "found no policy" in out.getvalue()


def test_what_the_policy_hides_is_hidden_in_the_preview_of_each_channel(tmp_path: Path) -> None:
    rules = "redact:\n  - {labels: [user], as: shown, channels: [mail]}\n  - {labels: ['user*', ip], as: masked}\n"
    status, said = run(tmp_path, "--preview", "receiver.yml", policy=POLICY + rules)
    assert status == 0
    here, hook, mail = said.split("--- ")[1:]
    assert "user=•••, ip=•••" in here
    assert '"user": "•••"' in hook
    assert "user=sample-user" in mail
    assert "ip=•••" in mail
    assert "sample-" not in here + hook


def test_the_preview_says_what_came_from_a_template(tmp_path: Path) -> None:
    policy = """\
channels:
  here: {type: terminal, templates: {text: 'in my words: {{ incident.title }}'}}
  mail:
    {type: email, smarthost: '127.0.0.1:1', from: tocsin@example.org, to: [ana@example.org],
     templates: {subject: 'mine', html: '<p>{{ incident.title }}</p>', text: '{{ "" }}'}}
  fails: {type: terminal, templates: {text: '{{ 1 // 0 if incident.id == "T-0" else "" }}'}}
"""
    status, said = run(tmp_path, "--preview", "receiver.yml", policy=policy)
    assert status == 0
    here, mail, fails = said.split("--- ")[1:]
    assert here.startswith("here (terminal)\nfrom a template: text\n")
    assert "[OPENED] in my words: A sample" in here
    assert mail.startswith("mail (email)\nfrom a template: subject, html\n")
    assert "\nSubject: mine\n" in mail
    assert "\nOPENED info: A sample" in mail
    assert "\nand in HTML:\n<p>A sample: nothing is wrong (service=shop)</p>\n" in mail
    assert fails.startswith("fails (terminal)\nthe template 'text' failed, its default went out: line 1: a division by")
    assert "[OPENED] T-0 info: A sample" in fails
