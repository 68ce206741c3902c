"""Code is shown to a model without what looks like a key, and otherwise as it is."""

from __future__ import annotations

import pytest

from or_magic.masking import mask

from ..canary import make_canary

KEY = make_canary(1)


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        (f"x = '{KEY}'", "x = '[key]'"),
        (f"client({KEY!r}, 3)", "client('[key]', 3)"),
        ("OPENROUTER_API_KEY = 'abc'", "OPENROUTER_API_KEY = '[key]'"),
        ("os.environ['MY_API_KEY'] = \"abc\"", "os.environ['MY_API_KEY'] = \"[key]\""),
        ("os.environ.setdefault('DB_PASSWORD', 'hunter2')", "os.environ.setdefault('DB_PASSWORD', '[key]')"),
        ('config = {"password": "hunter2", "user": "ada"}', 'config = {"password": "[key]", "user": "ada"}'),
        ("login(user='ada', password='hunter2')", "login(user='ada', password='[key]')"),
        ("secret: str = 'abc'", "secret: str = '[key]'"),
        ('token = """a\nb"""', 'token = """[key]"""'),
        ("auth_token = rb'abc'", "auth_token = rb'[key]'"),
        ("aws_secret_access_key='abc'", "aws_secret_access_key='[key]'"),
        ("%env SOMETHING=value", "%env SOMETHING=[key]"),
        ("%set_env SOMETHING value", "%set_env SOMETHING [key]"),
        ("!export GITHUB=abc123", "!export GITHUB=[key]"),
        ("API_TOKEN=abc-123 python run.py", "API_TOKEN=[key] python run.py"),
        ("create_engine('postgresql://ada:hunter2@host/db')", "create_engine('postgresql://[key]@host/db')"),
        ("headers = {'Authorization': 'Bearer abcdefghijkl'}", "headers = {'Authorization': 'Bearer [key]'}"),
        ("ghp_abcdefghijklmnopqrst", "[key]"),
        ("AKIAIOSFODNN7EXAMPLE", "[key]"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.abc-def", "[key]"),
        ("k = '''-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----'''", "k = '''[key]'''"),
        ("-----BEGIN PRIVATE KEY-----\nbroken off", "[key]"),
    ],
)
def test_what_looks_like_a_key_is_left_out(code: str, wanted: str) -> None:
    """By its shape, or by the name that it was given."""
    found = mask(code)
    assert wanted == found.text
    assert 1 == found.hidden


@pytest.mark.parametrize(
    "code",
    [
        "max_tokens = 5; tokens = ['a', 'b']; tokenizer = load('gpt2')",
        "if token == 'end':\n    break",
        "token = tokens.pop()\nself.secret = secret\npassword=password",
        "df.sort_values(key='name'); key = 'name'; monkey = 'George'",
        "import secrets\nsecrets.token_hex(16)",
        "f'{password}'; getpass('Password: ')",
        "url = 'https://example.org/path@2x.png'",
        "print('[key]')",
        "task-sk-1; risk-free-rate",
        "",
    ],
)
def test_other_code_stays_as_it_is(code: str) -> None:
    """A model that reads holes mends them."""
    assert (code, 0) == mask(code)


def test_it_takes_time_in_proportion_to_the_length() -> None:
    """A cell may hold a megabyte of data."""
    for text in (
        "a" * 300_000,
        "token_" * 50_000,
        "x='" * 100_000,
        "api_key " * 40_000,
        "eyJa." * 60_000,
        "https://a:" * 30_000,
    ):
        mask(text)
