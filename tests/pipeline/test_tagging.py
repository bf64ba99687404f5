import pytest

from al_framework.pipeline.tagging import compose_tags, environment_tags


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        (None, ()),
        ("", ()),
        ("a", ("a",)),
        ("a,b", ("a", "b")),
        (" a , ,b,, a ", ("a", "b", "a")),
        ("line 1,x/y", ("line 1", "x/y")),
    ],
)
def test_environment_tags_are_a_list_with_commas(value, tags):
    environ = {} if value is None else {"ACTIVE_LEARNING_TAGS": value}

    assert tags == environment_tags(environ)


@pytest.mark.parametrize(
    ("model_id", "persist", "model"),
    [
        ("project/3", True, ("project-3",)),
        ("a/b/c", True, ("a-b-c",)),
        ("yolov8n-640", True, ("yolov8n-640",)),
        ("project/3", False, ()),
        (None, True, ()),
        ("", True, ("",)),  # as Roboflow; the engine lets no empty name through
    ],
)
def test_tags_stand_in_order_with_repetitions_and_the_model_last(model_id, persist, model):
    tags = compose_tags(
        environment=["site", "x"],
        configuration=["x", "c"],
        strategy=["s", "x"],
        model_id=model_id,
        persist_predictions=persist,
    )

    assert ("site", "x", "x", "c", "s", "x", *model) == tags
