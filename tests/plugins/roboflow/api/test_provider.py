import json
from pathlib import Path

import pytest

from al_framework.api import ProvidedConfiguration, Target
from al_framework.testing import make_context
from al_framework.testing.contracts import ConfigurationProviderContract
from al_framework_roboflow.client import RoboflowApiError
from al_framework_roboflow.provider import RoboflowConfiguration
from al_framework_roboflow.server import Project, State, Workspace, running_server

WIRE = Path(__file__).resolve().parents[4].parent / "shared" / "wire"
KEY = "test-api-key"
DOCUMENT = {"enabled": True, "persist_predictions": True, "unknown": [1, 2.5]}
OD = {"project": {"type": "object-detection"}}
CLS = {"project": {"type": "multi-label-classification"}}


@pytest.fixture
def make(server, tmp_path):
    made = []

    def build(**options):
        values = {"api_key": KEY, "project": "ds", "api_url": server.url, **options}
        context = make_context(tmp_path, name="remote")
        made.append(RoboflowConfiguration(RoboflowConfiguration.Options(**values), context))
        return made[-1]

    yield build
    for provider in made:
        provider.close()


class TestContract(ConfigurationProviderContract):
    component = RoboflowConfiguration

    @pytest.fixture(autouse=True)
    def remote(self):
        project = Project("ds", configuration=DOCUMENT)
        with running_server(State(workspaces=[Workspace("ws", [project])])) as server:
            self.server = server
            yield

    def prepare(self, directory):
        return {"api_key": KEY, "project": "ds", "api_url": self.server.url}

    def break_server(self):
        self.server.fail(endpoint="any", status=503)


def test_the_document_is_fetched_and_the_workspace_asked_for_once(server, make):
    for reply in ({"workspace": "ws"}, OD, DOCUMENT, OD, {**DOCUMENT, "tags": ["a"]}):
        server.say(reply)
    provider = make()

    first, second = provider.fetch(), provider.fetch()

    target = Target(workspace="ws", project="ds")
    assert ProvidedConfiguration(document=DOCUMENT, target=target, refresh_after_s=900) == first
    assert second.document == {**DOCUMENT, "tags": ["a"]}
    assert [request.target for request in server.requests] == [
        f"/?api_key={KEY}&nocache=true",
        f"/ws/ds?api_key={KEY}&nocache=true",
        f"/ws/ds/active_learning?api_key={KEY}",
        f"/ws/ds?api_key={KEY}&nocache=true",
        f"/ws/ds/active_learning?api_key={KEY}",
    ]


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("cfg_02_other_model_project", {"model_project": "other/7"}),
        ("cfg_04_incompatible_types", {"model_project": "other/7"}),
        ("cfg_05_al_endpoint_401", {"model_project": "ds/3"}),
        ("cfg_05_al_endpoint_404", {}),
        ("cfg_05_al_endpoint_500", {}),
        ("cfg_06_workspace_401", {}),
        ("cfg_07_project_type_missing", {"model_project": "ds"}),
    ],
)
def test_requests_are_as_recorded(server, make, file, options):
    path = WIRE / f"{file}.json"
    if not path.exists():
        pytest.skip("the recordings are not here")
    exchanges = json.loads(path.read_text())["exchanges"]
    for exchange in exchanges:
        server.say(exchange["reply"].get("json"), status=exchange["reply"]["status"])

    try:
        make(**options).fetch()
    except RoboflowApiError as exc:
        assert exc.status == exchanges[-1]["reply"]["status"]  # noqa: PT017 - some fail, some do not

    assert [e["raw_target"] for e in exchanges] == [r.target for r in server.requests]


def test_a_workspace_that_is_given_is_not_asked_for(server, make):
    server.say(OD)
    server.say(DOCUMENT)

    assert make(workspace="w").fetch().target == Target(workspace="w", project="ds")
    assert server.calls == "BC"


def test_a_model_project_that_begins_alike_is_another_one(server, make):
    for reply in (OD, CLS):
        server.say(reply)

    provided = make(workspace="w", model_project="ds-extra/7").fetch()

    assert provided == ProvidedConfiguration(
        document=None,
        reason="the model's project 'ds-extra' is of type 'multi-label-classification', which does "
        "not go together with 'ds' of type 'object-detection'",
        target=Target(workspace="w", project="ds"),
    )
    assert [request.path for request in server.requests] == ["/w/ds", "/w/ds-extra"]


@pytest.mark.parametrize("kind", ["instance-segmentation", "keypoint-detection", None])
def test_detection_types_go_together(server, make, kind):
    for reply in (OD, {"project": {"type": kind}}, DOCUMENT):
        server.say(reply)

    assert make(workspace="w", model_project="other").fetch().document == DOCUMENT


def test_classification_types_go_together(server, make):
    for reply in (CLS, {"project": {"type": "classification"}}, DOCUMENT):
        server.say(reply)

    assert make(workspace="w", model_project="other").fetch().document == DOCUMENT


@pytest.mark.parametrize("status", [401, 404])
def test_a_document_that_is_not_ours_switches_collection_off(server, make, status):
    server.say(OD)
    server.say({"error": "x"}, status=status)

    provided = make(workspace="w").fetch()

    assert provided.document is None
    assert provided.reason == f"'w/ds' shows this key no Active Learning document ({status})"
    assert provided.target == Target(workspace="w", project="ds")


@pytest.mark.parametrize("document", [{"enabled": False}, {"enabled": None}, {}, {"enabled": 0}])
def test_a_document_that_is_switched_off_says_so(server, make, document):
    server.say(OD)
    server.say(document)

    provided = make(workspace="w").fetch()

    assert provided.document is None
    assert provided.reason == "Active Learning is switched off in 'w/ds'"


@pytest.mark.parametrize("status", [402, 403, 423, 429, 500, 503])
def test_other_answers_are_errors(server, make, status):
    server.say(OD)
    server.say({"error": "x"}, status=status)

    with pytest.raises(RoboflowApiError, match=f"active_learning: the answer is {status}"):
        make(workspace="w").fetch()


@pytest.mark.parametrize("answers", [[401], [200, 404]])
def test_a_key_or_project_that_is_refused_is_an_error(server, make, answers):
    for status in answers:
        server.say({"workspace": "ws"}, status=status)

    with pytest.raises(RoboflowApiError, match=f"the answer is {answers[-1]}"):
        make().fetch()


def test_a_missing_type_is_said_once(server, make, caplog):
    for reply in ({"project": {}}, DOCUMENT) * 2:
        server.say(reply)
    provider = make(workspace="w")

    assert [provider.fetch().document for _ in range(2)] == [DOCUMENT, DOCUMENT]
    assert caplog.messages == [
        (
            "configuration 'remote': the project 'ds' has no type, so it is taken for "
            "'object-detection'"
        )
    ]


def test_the_identity_depends_on_key_and_projects_and_tells_none(make):
    changes = (
        {},
        {"api_key": "other"},
        {"project": "other"},
        {"workspace": "other"},
        {"model_project": "other"},
        {"api_url": "https://other.test"},
    )
    identities = [make(**change).identity for change in changes]

    assert len(set(identities)) == len(changes)
    assert identities[0] == make().identity
    assert all(KEY not in identity and identity.isalnum() for identity in identities)


def test_making_a_provider_asks_nothing(server, make):
    make().identity  # noqa: B018 - reading it is what is tested

    assert server.requests == []


@pytest.mark.parametrize("document", [DOCUMENT, {"enabled": False}])
def test_it_is_asked_again_when_the_options_say(server, make, document):
    for reply in ({"workspace": "ws"}, OD, document):
        server.say(reply)

    assert make(refresh_after_s=60).fetch().refresh_after_s == 60
