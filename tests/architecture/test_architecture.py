"""The shape of the code, held by the syntax tree: who imports whom, how long things are, what they may be called."""

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "bellmax"
FILES = sorted(SOURCE.rglob("*.py"))

# What each part may import of bellmax. The front door may import everything.
ALLOWED = {
    "ranges": set(),
    "spaces": set(),
    "core": {"ranges", "spaces"},
    "maths": {"maths", "core", "ranges", "spaces"},
    "networks": {"networks", "maths", "core", "spaces"},
    "experience": {"experience", "core", "ranges", "spaces", "maths"},
    "bonuses": {"bonuses", "core", "ranges", "spaces", "maths", "networks"},
    "models": {"models", "core", "ranges", "spaces", "maths", "networks"},
    "language": {"language", "core", "ranges", "spaces", "maths"},
    "algorithms": {"core", "ranges", "spaces", "experience", "bonuses", "maths", "models", "networks", "language"},
    "envs": {"envs", "core", "ranges", "spaces", "maths"},
    "mdp": {"mdp", "core", "ranges", "spaces", "maths", "envs"},
    "drivers": {"drivers", "core", "spaces", "experience", "maths"},
    "runs": {"runs"},
    "report": {"report", "runs"},
    "display": {"display", "report", "runs"},
}
FRONT = {
    "training",
    "run",
    "plan",
    "engine",
    "session",
    "processes",
    "worker",
    "catalogue",
    "encode",
    "compilation",
    "exactness",
    "public",
    "export",
    "alignment",
    "reality",
    "contest",
}
FRONT |= {
    "dreaming",
    "foreseeing",
    "starting",
    "sweeping",
    "memory",
    "watch",
    "data",
    "recipes",
    "cli",
    "__init__",
    "loading",
    "sitting",
}
QUIET = set(ALLOWED) - {"runs", "report", "display"}  # nothing here prints, logs, plots or touches files


def part(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def problems_in_imports(name: str, text: str) -> list[str]:
    """What a file of part `name` imports and may not."""
    wrong = []
    for line, module in imports(ast.parse(text)):
        pieces = module.split(".")
        if pieces[0] != "bellmax" or name in FRONT:
            continue
        target = pieces[1] if len(pieces) > 1 else "__init__"
        if target not in ALLOWED[name] and name != target:
            wrong.append(f"line {line}: {module}")
        if name == "algorithms" and target == "algorithms":
            wrong.append(f"line {line}: an algorithm imports {module}")
    return wrong


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_arrows_of_import_point_one_way(path):
    assert part(path) in set(ALLOWED) | FRONT, f"{part(path)} is new: say in this test what it may import"
    assert problems_in_imports(part(path), path.read_text()) == []


def test_the_test_of_imports_can_fail():
    assert problems_in_imports("algorithms", "from bellmax.drivers import ingraph")
    assert problems_in_imports("algorithms", "from bellmax.algorithms.policy.ppo import PPO")
    assert problems_in_imports("drivers", "from bellmax.algorithms.policy.ppo import PPO")
    assert problems_in_imports("envs", "from bellmax.algorithms.policy.ppo import PPO")
    assert problems_in_imports("maths", "import bellmax.networks.mlp")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert text.count("\n") <= 250
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    long = [f"{f.name}: {code_lines(f)}" for f in functions if code_lines(f) > 40]
    assert long == []


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function, without its signature's and its docstring's."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


FORBIDDEN = re.compile(r"^(utils?|common|helpers?|misc|manager|mixin)$|Base$|Manager$|Mixin$")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_nothing_has_a_name_that_says_nothing(path):
    assert not FORBIDDEN.search(path.stem)
    classes = [n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ClassDef)]
    assert [name for name in classes if FORBIDDEN.search(name)] == []


ALGORITHMS = [p for p in FILES if part(p) == "algorithms" and p.name != "__init__.py"]


@pytest.mark.parametrize("path", ALGORITHMS, ids=lambda p: p.stem)
def test_an_algorithm_file_begins_with_its_paper(path):
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "https://" in docstring
    assert re.search(r"\(\w.*?\d{4}", docstring), "who, and when"


@pytest.mark.parametrize("path", ALGORITHMS, ids=lambda p: p.stem)
def test_an_algorithm_is_final_and_says_discount_and_last(path):
    text = path.read_text()
    assert not re.search(r"\bdones?\b", text), "there is no `done`: say discount or last"
    assert "super()" not in text
    assert "hasattr(" not in text


DRIVERS = [p for p in FILES if part(p) == "drivers"]


@pytest.mark.parametrize("path", DRIVERS, ids=lambda p: p.stem)
def test_a_driver_names_no_algorithm(path):
    tree = ast.parse(path.read_text())
    words = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)
    }
    assert not words & {
        "PPO",
        "A2C",
        "REINFORCE",
        "RecurrentPPO",
        "Normalised",
        "ScaledRewards",
        "network",
        "opt_state",
    }
    checks = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "isinstance"]
    assert not [n for n in checks if "algorithm" in ast.unparse(n.args[0])]


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in QUIET], ids=lambda p: str(p.relative_to(SOURCE)))
def test_below_the_front_door_nothing_prints_or_touches_files(path):
    tree = ast.parse(path.read_text())
    calls = {n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    assert not calls & {"print", "open", "input"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_pickle_is_read_from_a_file(path):
    text = path.read_text()
    names = {module.split(".")[0] for _, module in imports(ast.parse(text))}
    if names & {"pickle", "cloudpickle", "dill", "joblib"}:
        reads = re.findall(r"pickle\.loads?\(", text)
        assert not reads or path.name == "worker.py", "pickles travel between our own processes, never in files"
        assert "pickle.load(" not in text
    assert "allow_pickle=True" not in text


def test_formulas_are_written_once():
    """The signatures of the shared formulas, in code, appear in maths/ alone."""
    formulas = {
        "the clipped surrogate": r"jnp\.clip\([^\n]*1 ?- ?[^\n]*1 ?\+",
        "a lambda-return or GAE scan": r"scan\([^\n]*reverse=True",
        "kl_k3": r"expm1\([^\n]*\) - |exp\((\w+)\) - 1 - \1|exp\((\w+)\) - \2 - 1",
    }
    backwards = SOURCE / "algorithms" / "tabular" / "off_policy_mc_control.py"  # learns as it goes back
    for name, pattern in formulas.items():
        places = [str(p.relative_to(SOURCE)) for p in FILES if re.search(pattern, p.read_text()) and p != backwards]
        assert len(places) <= 1, f"{name} stands in {places}"


def test_every_dependency_of_the_import_is_light():
    """The command line answers --help without jax: its top imports nothing heavy."""
    text = (SOURCE / "cli" / "main.py").read_text()
    top = [module for line, module in imports(ast.Module(ast.parse(text).body, [])) if not _inside(text, line)]
    assert not [module for module in top if module.split(".")[0] in ("jax", "equinox", "optax", "matplotlib")]


def _inside(text: str, line: int) -> bool:
    return text.splitlines()[line - 1].startswith(" ")
