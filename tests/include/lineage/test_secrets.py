"""How secrets are told from prose, and which ones a process was given."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.lineage.secrets import HIDDEN, clean_text, given_to, hide_sure, shown_in

PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
    "MIIEowIBAAKCAQEAcanary0/+\nb64canary==\n-----END RSA PRIVATE KEY-----"
)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5"
SURE = {
    "login": ("https://ann:c4nary-pw@host.example/x", "https://***@host.example/x"),
    "token for a login": ("git+https://ghx0c4nary@host.example/x", "git+https://***@host.example/x"),
    "login with an @": ("postgresql://me:c4nary@pw@db:5432/x", "postgresql://***@db:5432/x"),
    "pem": (f"key {PEM} end", "key *** end"),
    "cut pem": (PEM[:80], HIDDEN),
    "jwt": (f"<{JWT}>", "<***>"),
    "aws": ("id AKIAC4NARYC4NARY1234.", "id ***."),
    "anthropic": ("sk-ant-api03-c4nary_c4nary-c4nary", HIDDEN),
    "github": ("ghp_c4naryc4naryc4naryc4nary", HIDDEN),
    "slack": ("xoxb-123456-c4nary", HIDDEN),
    "google": ("AIza" + "c4nary-" * 5, HIDDEN),
}
LIKELY = {
    "assigned": ("connect: password=c4nary, host=h", "connect: password=***, host=h"),
    "quoted": ("""{'api_key': 'c4nary'}""", """{'api_key': '***'}"""),
    "header": ("Authorization: Basic YzRuYXJ5OmM0bmFyeQ==", "Authorization: Basic ***"),
    "bearer": ("sent bearer c4naryc4nary to h", "sent bearer *** to h"),
    "address": ("mail to c4nary.lee@mail.example now", "mail to *** now"),
}


@pytest.mark.parametrize("name", SURE)
def test_what_can_only_be_a_secret_is_hidden_everywhere(name: str) -> None:
    text, hidden = SURE[name]
    assert hide_sure(text) == hidden
    assert clean_text(text) == hidden


@pytest.mark.parametrize("name", LIKELY)
def test_what_may_be_prose_is_hidden_where_text_is_only_told(name: str) -> None:
    text, hidden = LIKELY[name]
    assert clean_text(text) == hidden
    assert hide_sure(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "The secret: how to cook #rice (part 2)",
        "Basic information about tokens",
        "https://www.youtube.com/watch?v=abc_DEF-123",
        "https://medium.example/@someone",
        "throughline://store/blobs/ab/" + "ab" * 32 + ".parquet",
        "019e3a7c-4a3d-7034-9f1d-139361bb4ed8",
    ],
)
def test_ordinary_titles_and_addresses_stay(text: str) -> None:
    assert hide_sure(text) == text


@pytest.mark.parametrize("name", [*SURE, *LIKELY])
def test_what_a_text_shows_is_what_hiding_it_by_value_would_need(name: str) -> None:
    text = {**SURE, **LIKELY}[name][0]
    shown = shown_in(text)
    assert shown
    for value in shown:
        text = text.replace(value, "")
    assert "c4nary" not in text.lower()
    assert "YzRuYXJ5" not in text


@given(st.text(), st.sampled_from([text for text, _ in SURE.values()]), st.text())
def test_no_surrounding_text_saves_a_login(before: str, secret: str, after: str) -> None:
    assert "c4nary" not in clean_text(f"{before} {secret} {after}").lower()


@given(st.text())
def test_clean_text_is_stable_and_storable(text: str) -> None:
    once = clean_text(text)
    assert clean_text(once) == once
    assert "\x00" not in once
    once.encode()


def test_known_values_are_hidden_by_value() -> None:
    assert (
        clean_text("it was Tr0ub4dor, says Tr0ub4dor&3", ("Tr0ub4dor&3", "Tr0ub4dor"))
        == "it was ***, says ***"
    )


def test_a_process_knows_the_secrets_of_its_environment() -> None:
    environment = {
        "THROUGHLINE_LEDGER_DSN": "postgresql://writer:dsnpassword@127.0.0.1:5432/throughline",
        "ENCODED_DSN": "postgresql://writer:p%2Fassword@127.0.0.1/x",
        "AIRFLOW__API__SECRET_KEY": "apisecretkey",
        "AIRFLOW__CORE__FERNET_KEY": "fernetkeyvalue",
        "AIRFLOW_CONN_SHOP": json.dumps(
            {
                "conn_type": "http",
                "login": "me",
                "password": "connpassword",
                "extra": {"token": {"v": "deepsecret"}},
            }
        ),
        "SHORT_PASSWORD": "admin",
        "PASSWORDS_FILE": "/state/passwords.json",
        "LANG": "C.UTF-8 as everywhere",
    }
    assert set(given_to(environment)) == {
        "dsnpassword",
        "p%2Fassword",
        "p/assword",
        "apisecretkey",
        "fernetkeyvalue",
        "connpassword",
        "deepsecret",
    }
