from edgepose.training.config.loader import tomllib


def test_recipes_and_model_cards_are_packed(project_root):
    settings = tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf8"))
    package = project_root / "edgepose"
    patterns = settings["tool"]["setuptools"]["package-data"]["edgepose"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    recipes = {path for path in (package / "training" / "recipes").rglob("*") if path.is_file()}
    assert any(path.name.endswith(".card.json") for path in recipes)
    assert recipes <= packed
