"""What is known of models: our file, yours over it, and what becomes of wrong ones."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

import tinyagent_actors.providers
from tests.providers.conftest import CONTEXT
from tinyagent_actors._errors import SpecError, ValueShapeError
from tinyagent_actors.messages import Model
from tinyagent_actors.providers import ModelFacts, ModelTable, Price, StreamOptions, load_models, open_stream
from tinyagent_actors.providers._model_table import VARIABLE, default_models
from tinyagent_actors.providers._vendor_models import GlmFacts, MinimaxFacts
from tinyagent_actors.testing import Reply, open_endpoint

OURS = Path(tinyagent_actors.providers.__file__).with_name("models.toml")
CATALOGUE = json.loads(Path(__file__).with_name("alchemy_catalogue.json").read_text())["models"]
ROOT = Path(__file__).parent.parent.parent
OPENAI = "https://api.openai.com/v1/chat/completions"


def with_file(tmp_path: Path, text: str) -> ModelTable:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_models(path)


def test_every_row_says_where_its_figures_come_from() -> None:
    """M01: each row has a source that the file names, and a date; each rule has a name of its own."""
    document = tomllib.loads(OURS.read_text())
    named = [source for row in document["models"] for source in row["source"].split(", ")]
    rules = [rule["name"] for rule in document["rules"]]

    assert set(named) == set(document["sources"])
    assert [row for row in document["models"] if "date" not in row] == []
    assert len(rules) == len(set(rules))


@pytest.mark.process
def test_the_page_of_models_is_current() -> None:
    """M01: it says what the data file says; `make models` makes it anew."""
    command = [sys.executable, ".ci/models.py", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stdout


def test_the_providers_that_people_use_are_there() -> None:
    """M01: at least 30 rows of the seven most used, each of them with some, and most with a price."""
    used = ("openai", "anthropic", "openrouter", "deepseek", "mistral", "groq", "gemini")
    rows = [row for row in load_models() if row.provider in used]

    assert {row.provider for row in rows} == set(used)
    assert len(rows) >= 30
    assert [row.id for row in rows if row.price is None] == []


@pytest.mark.parametrize("theirs", CATALOGUE, ids=lambda row: f"{row['provider']}:{row['id']}")
def test_every_model_of_the_alchemy_crate_is_there(theirs: dict[str, object]) -> None:
    """M01: with its window, its limit, its dialect and its price, where the crate has one (0.0 is none)."""
    model = Model(str(theirs["id"]), str(theirs["provider"]))
    facts = load_models().facts(model)

    assert (facts.context_window, facts.max_tokens) == (theirs["context_window"], theirs["max_tokens"])
    assert (facts.reasoning, list(facts.kinds or ())) == (theirs["reasoning"], theirs["input"])
    assert (facts.api or model.api) == theirs["api"]
    assert "alchemy-llm 0.2.0" in str(facts.source)
    told = {name: Decimal(str(usd)) * 1000 for name, usd in theirs["usd_per_1000"].items() if usd}  # type: ignore[attr-defined]
    if told:
        assert facts.price is not None
        assert {name: getattr(facts.price, name) for name in told} == told


def test_a_row_is_found_by_each_of_its_ids_whatever_their_case() -> None:
    """Aliases are the same model."""
    table = load_models()
    by_alias, by_id = (
        table.facts(Model(name, "anthropic")) for name in ("Claude-Haiku-4-5", "claude-haiku-4-5-20251001")
    )

    assert by_alias.price == by_id.price
    assert by_alias.price is not None


def test_a_model_of_a_known_family_has_the_rules_of_the_family() -> None:
    """M02: a model that has no row is asked as its family is; of one of no family nothing is known."""
    table = load_models()
    unknown = Model("gpt-7-of-tomorrow", "openai")

    rules = table.rules(unknown, OPENAI)
    assert (rules.system_role, rules.max_tokens_field) == ("developer", "max_completion_tokens")
    assert (rules.refuses_temperature, rules.effort_with_tools) == (True, "none")
    assert table.facts(unknown).price is None
    assert table.facts(Model("m", "nobody")) == ModelFacts("nobody", "m")


def test_the_host_decides_before_the_name_of_the_provider() -> None:
    """M02: OpenAI is at its host only, and what is asked there is asked as OpenAI wants it, whatever the provider is called."""
    table = load_models()
    elsewhere = Model("gpt-5.4", "openai", base_url="http://127.0.0.1:8000/v1")
    there = Model("gpt-5.4", "openrouter", base_url=OPENAI)

    assert table.rules(elsewhere).system_role == "system"
    assert table.rules(there).system_role == "developer"
    assert table.facts(there).provider == "openai"
    assert table.rules(Model("m", "custom", base_url="https://n.openai.azure.com/openai/v1")) == table.rules(
        Model("m", "azure", base_url="https://gate.example/openai/v1")
    )


def test_what_is_no_url_is_nowhere() -> None:
    """M02: asking what is known of a model raises nothing; the call refuses such an address."""
    assert load_models().facts(Model("gpt-4.1", "openai", base_url="http://[")).provider == "openai"


def test_what_a_model_says_of_itself_wins() -> None:
    """M02: window, limit and reasoning of a Model go before the file's."""
    table = load_models()

    facts = table.facts(Model("gpt-4.1", "openai", context_window=7, max_tokens=5, reasoning=True))
    assert (facts.context_window, facts.max_tokens, facts.reasoning) == (7, 5, True)
    assert table.facts(Model("gpt-4.1", "openai")).context_window == 1_047_576


def test_a_file_of_yours_is_laid_over_ours_row_by_row(tmp_path: Path) -> None:
    """M03: a field that your row has takes the place of ours; the rest of ours stays; new rows and hosts are added."""
    table = with_file(
        tmp_path,
        """
        hosts = { "gate.example" = "mistral" }
        [[rules]]
        providers = ["openai"]
        models = "gpt-4"
        max_tokens_field = "max_completion_tokens"
        [[models]]
        provider = "OpenAI"
        id = "GPT-4.1"
        price = { input = 1, output = 0.5 }
        [[models]]
        provider = "house"
        id = "large"
        context_window = 10
        base_url = "http://127.0.0.1:9/v1"
        """,
    )

    ours, mixed = load_models().facts(Model("gpt-4.1", "openai")), table.facts(Model("gpt-4.1", "openai"))
    assert mixed.price == Price(input=Decimal(1), output=Decimal("0.5"))
    assert (mixed.context_window, mixed.source) == (ours.context_window, ours.source)
    assert table.facts(Model("large", "house")).context_window == 10
    assert table.base_url(Model("large", "house")) == "http://127.0.0.1:9/v1"
    assert table.rules(Model("any", "custom", base_url="https://gate.example/v1")).short_ids
    assert table.rules(Model("gpt-4o", "openai", base_url="http://127.0.0.1:8/v1")).max_tokens_field == (
        "max_completion_tokens"
    )
    assert len(table) == len(load_models()) + 1


@pytest.mark.parametrize(
    ("model_id", "can"),
    [
        ("glm-4-32b-0414-128k", GlmFacts(thinks=False, streams_calls=False, keeps_thinking=False)),
        ("GLM-4.5-Air", GlmFacts(streams_calls=False, keeps_thinking=False)),
        ("glm-4.6v", GlmFacts(keeps_thinking=False)),
        ("z-ai/glm-4.7", GlmFacts()),
        ("glm-5", GlmFacts()),
        ("glm-5.3-flash", GlmFacts(has_efforts=True)),
        ("glm-of-tomorrow", GlmFacts()),
        ("MiniMax-M2.5", MinimaxFacts()),
        ("MiniMax-M3", MinimaxFacts(chooses_thinking=True)),
        ("MiniMax-Text-01", MinimaxFacts(splits_thinking=False)),
    ],
)
def test_what_models_of_minimax_and_glm_can(model_id: str, can: GlmFacts | MinimaxFacts) -> None:
    """M02: it is told from their names by rules of the data file, whoever serves them."""
    assert load_models().read(type(can), Model(model_id, "zai")) == can


def test_a_row_of_yours_can_replace_ours_whole(tmp_path: Path) -> None:
    """M03: `replace = true` forgets the fields of our row; the rules of the family stay."""
    table = with_file(
        tmp_path, '[[models]]\nprovider = "mistral"\nid = "ministral-8b-2512"\nreplace = true\nmax_tokens = 3\n'
    )

    facts = table.facts(Model("ministral-8b-2512", "mistral"))
    assert (facts.price, facts.context_window, facts.max_tokens) == (None, None, 3)
    assert table.rules(Model("ministral-8b-2512", "mistral")).short_ids


def test_a_rule_of_yours_wins_over_a_row_of_ours(tmp_path: Path) -> None:
    """M03: so a price can be given to all that a provider serves."""
    table = with_file(tmp_path, '[[rules]]\nproviders = ["groq"]\nprice = { input = 0, output = 0 }\n')

    assert table.facts(Model("openai/gpt-oss-20b", "groq")).price == Price(Decimal(0), Decimal(0))


ROW = '[[models]]\nprovider = "p"\nid = "m"\n'


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("[[models]\n", "", "is not TOML"),
        ("[prices]\n", "prices", "no such table"),
        ("models = 3\n", "models", "must be an array of tables"),
        ("models = [3]\n", "models[0]", "must be a table"),
        ("hosts = []\n", "hosts", "must be a table"),
        ('hosts = { "a.example" = 3 }\n', "hosts.a.example", "must be a text"),
        ('[[models]]\nid = "m"\n', "models[0] (m).provider", "is missing"),
        ('[[models]]\nprovider = "p"\n', "models[0] (p).id", "is missing"),
        (ROW + ROW.replace('"m"', '"M"'), "models[1] (p M)", "stands here twice"),
        (ROW + "contxt_window = 3\n", "models[0] (p m).contxt_window", "no such field"),
        (ROW + "context_window = 0\n", "models[0] (p m).context_window", "a whole number above 0"),
        (ROW + "context_window = true\n", "models[0] (p m).context_window", "a whole number above 0"),
        (ROW + "reasoning = 1\n", "models[0] (p m).reasoning", "true or false"),
        (ROW + 'kinds = ["smell"]\n', "models[0] (p m).kinds", "must be one of text, image"),
        (ROW + 'kinds = "text"\n', "models[0] (p m).kinds", "must be an array"),
        (ROW + 'date = "today"\n', "models[0] (p m).date", "must be a date"),
        (ROW + "price = 3\n", "models[0] (p m).price", "must be a table"),
        (ROW + 'price = { input = "3" }\n', "models[0] (p m).price.input", "USD per million tokens"),
        (ROW + "price = { input = -1 }\n", "models[0] (p m).price.input", "USD per million tokens"),
        (ROW + "price = { input = nan }\n", "models[0] (p m).price.input", "USD per million tokens"),
        (ROW + "price = { output = inf }\n", "models[0] (p m).price.output", "USD per million tokens"),
        (ROW + "price = { input = 1e99 }\n", "models[0] (p m).price.input", "USD per million tokens"),
        (ROW + "price = { inputs = 1 }\n", "models[0] (p m).price.inputs", "no such field"),
        (ROW + "price = { above = 3 }\n", "models[0] (p m).price.above", "must be an array"),
        (ROW + "price = { above = [{ input = 1 }] }\n", "models[0] (p m).price.above[0].tokens", "is missing"),
        (ROW + "price = { above = [{ tokens = 1, output = true }] }\n", "models[0] (p m).price.above[0].output", "USD"),
        (ROW + 'efforts = ["much"]\n', "models[0] (p m).efforts", "must be one of none, minimal"),
        ('[[rules]]\nname = "mine"\nmodels = "("\n', "rules[0] (mine).models", "is not a regular expression"),
        ('[[rules]]\nthinking_style = "deep"\n', "rules[0].thinking_style", "must be one of none, effort"),
        ('[[rules]]\nproviders = [""]\n', "rules[0].providers", "must be a text that is not empty"),
        ('[[rules]]\nsystem_role = "boss"\n', "rules[0].system_role", "must be one of system, developer"),
    ],
)
def test_a_wrong_file_is_refused_with_its_row_and_field(tmp_path: Path, text: str, field: str, problem: str) -> None:
    """M03: the error names the file, the row and the field, and says what is wrong."""
    with pytest.raises(ValueShapeError) as caught:
        with_file(tmp_path, text)

    assert caught.value.field == str(tmp_path / "mine.toml") + (f": {field}" if field else "")
    assert problem in caught.value.problem


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """Missing, or not UTF-8: the error names the file."""
    with pytest.raises(ValueShapeError, match=r"nothing\.toml: cannot be read"):
        load_models(tmp_path / "nothing.toml")
    (tmp_path / "latin.toml").write_bytes(b'source = "\xe9"')
    with pytest.raises(ValueShapeError, match=r"latin\.toml: cannot be read"):
        load_models(tmp_path / "latin.toml")


def test_the_environment_names_a_file(tmp_path: Path) -> None:
    """M03: it is read once; without the variable, or with an empty one, only ours is there."""
    path = tmp_path / "mine.toml"
    path.write_text(ROW)

    assert len(default_models({VARIABLE: str(path)})) == len(load_models()) + 1
    assert default_models({VARIABLE: str(path)}) is default_models({VARIABLE: f" {path} "})
    assert default_models({}) is default_models({VARIABLE: " "}) is load_models()


async def test_open_stream_looks_there(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M03: a file that the environment names takes part in a call; a wrong one is refused before anything is sent."""
    path = tmp_path / "mine.toml"
    options = StreamOptions(engine=engine)  # type: ignore[arg-type]  # one of them
    async with open_endpoint([Reply(text="hi")]) as endpoint:
        path.write_text(f'[[models]]\nprovider = "house"\nid = "large"\nbase_url = "{endpoint.url}"\n')
        monkeypatch.setenv(VARIABLE, str(path))
        async with open_stream(Model("large", "house"), CONTEXT, options) as stream:
            assert (await stream.result()).text == "hi"
        monkeypatch.setenv(VARIABLE, str(tmp_path / "other.toml"))
        with pytest.raises(ValueShapeError, match=r"other\.toml"):
            async with open_stream(Model("large", "house", base_url=endpoint.url), CONTEXT, options):
                pass

        assert len(endpoint.requests) == 1


def test_only_a_table_is_one() -> None:
    """A path among the options is refused with the name of the field."""
    with pytest.raises(SpecError, match=r"StreamOptions\.models"):
        StreamOptions(models="mine.toml")  # type: ignore[arg-type]  # on purpose
