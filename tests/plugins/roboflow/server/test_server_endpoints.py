"""What the endpoints do beyond one recorded request: state grows and shows."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from al_framework_roboflow.server import Batch, Project, StoredImage, content_hash


def held(server, project="ds", workspace="ws"):
    return server.held()["workspaces"][workspace][project]


def test_a_batch_is_made_by_its_first_upload_and_counts_each_picture(api, picture):
    for number in range(3):
        api.upload(picture(number), batch="first")
    api.upload(picture(3), batch="second")

    assert {
        "batches": [
            {"id": "id-2", "name": "first", "images": 3, "numJobs": 0},
            {"id": "id-6", "name": "second", "images": 1, "numJobs": 0},
        ]
    } == api.get("/ws/ds/batches").json()


def test_the_same_bytes_are_a_duplicate_of_the_first_and_change_nothing(api, server, picture):
    first = api.upload(picture(1), batch="a").json()
    second = api.upload(picture(1), batch="b").json()

    assert {"success": True, "id": "id-1"} == first
    assert {"duplicate": True, "id": "id-1"} == second
    assert [("a", 1)] == [(b["name"], b["images"]) for b in held(server)["batches"]]


def test_duplicates_are_looked_for_in_their_own_project(api, picture):
    api.upload(picture(1))

    assert api.upload(picture(1), project="ds2").json()["success"] is True


def test_an_upload_keeps_all_that_was_sent_with_it(api, server, picture):
    api.call(
        "POST",
        "/dataset/ds/upload",
        query=[("batch", "pre+fix/ż&"), ("inference_id", "inf"), ("tag", "b a"), ("tag", "a")],
        files={
            "name": (None, "a.png"),
            "split": (None, "valid"),
            "file": ("other.png", picture(1), "image/png"),
            "metadata": (None, '{"k": "v"}'),
        },
    )

    (image,) = held(server)["images"]
    assert image | {"sha256": "", "length": 0} == {
        "id": "id-1",
        "name": "a.png",
        "sha256": "",
        "length": 0,
        "format": "PNG",
        "size": [8, 6],
        "batch": "pre+fix/ż&",
        "tags": ["b a", "a"],
        "split": "valid",
        "inference_id": "inf",
        "metadata": {"k": "v"},
        "annotations": [],
    }
    assert picture(1) == server.image("id-1")


def test_an_upload_without_batch_goes_where_the_sdk_sends_it(api, server, picture):
    api.call("POST", "/dataset/ds/upload", files={"file": ("f.png", picture(), "image/png")})

    assert held(server)["images"][0]["name"] == "f.png"
    assert held(server)["batches"][0]["name"] == "Pip Package Upload"


def test_a_raw_annotation_and_the_envelope_of_the_sdk_are_kept_alike(api, server, picture):
    for number in (1, 2):
        api.upload(picture(number))
    body = '{"predictions": []}'

    raw = api.annotate("id-1", body, query=[("prediction", "true")])
    enveloped = api.call(
        "POST",
        "/dataset/ds/annotate/id-3",
        query=[("name", "n.json"), ("jobName", "job"), ("prediction", "true")],
        json={"annotationFile": body, "labelmap": {"0": "cat"}},
    )

    assert [{"success": True}] * 2 == [raw.json(), enveloped.json()]
    first, second = (image["annotations"] for image in held(server)["images"])
    assert [
        {
            "name": "n.json",
            "body": body,
            "prediction": True,
            "job_name": "",
            "labelmap": None,
        }
    ] == first
    assert (body, "job", {"0": "cat"}) == tuple(
        second[0][name] for name in ("body", "job_name", "labelmap")
    )


def test_an_empty_class_name_is_an_annotation(api, server, picture):
    api.upload(picture())

    assert api.annotate("id-1", "", name="n.txt").status_code == 200
    assert held(server)["images"][0]["annotations"][0]["body"] == ""


def test_a_second_annotation_conflicts_unless_it_overwrites(api, server, picture):
    api.upload(picture())
    api.annotate("id-1", "1")

    again = api.annotate("id-1", "2")
    overwriting = api.annotate("id-1", "3", query=[("overwrite", "true")])

    assert (409, {"error": {"message": "Image was already annotated."}}) == (
        again.status_code,
        again.json(),
    )
    assert overwriting.status_code == 200
    assert ["1", "3"] == [a["body"] for a in held(server)["images"][0]["annotations"]]


def test_the_project_counts_its_pictures(api, picture):
    for number in range(3):
        api.upload(picture(number))
    api.annotate("id-1")

    project = api.get("/ws/ds").json()["project"]
    assert (3, 2, 1000.0) == (project["images"], project["unannotated"], project["created"])


def test_a_configuration_can_be_set_and_is_served_as_it_is(api):
    document = {"enabled": True, "sampling_strategies": [], "unknown": [1, None]}

    missing = api.get("/ws/ds/active_learning")
    reply = api.call("POST", "/ws/ds/active_learning", json={"config": document})

    assert (404, {"error": "project 'ds' has no active learning configuration"}) == (
        missing.status_code,
        missing.json(),
    )
    assert {"success": True} == reply.json()
    assert document == api.get("/ws/ds/active_learning").json()


@pytest.mark.parametrize(("wanted", "moved"), [(2, 2), (None, 3), (9, 3)])
def test_a_job_takes_images_out_of_its_batch(api, picture, wanted, moved):
    for number in range(3):
        api.upload(picture(number))
    (batch,) = api.get("/ws/ds/batches").json()["batches"]

    reply = api.call(
        "POST", "/ws/ds/jobs", json={"batch": batch["id"], "num_images": wanted, "name": "j"}
    )
    api.upload(picture(7))

    job = {"sourceBatch": f"ds/{batch['id']}", "numImages": moved}
    assert {"success": True, **job} == reply.json()
    assert {"jobs": [job]} == api.get("/ws/ds/jobs").json()
    (after,) = api.get("/ws/ds/batches").json()["batches"]
    assert (3 - moved + 1, 1) == (after["images"], after["numJobs"])


def test_without_keeping_pictures_size_and_hash_remain(api, server, state, picture):
    state.keep_pictures = False
    api.upload(picture(1))

    assert held(server)["images"][0]["length"] == len(picture(1))
    assert api.upload(picture(1)).json() == {"duplicate": True, "id": "id-1"}
    reply = api.get("/__images/id-1")
    assert (404, "the bytes of image 'id-1' were not kept") == (
        reply.status_code,
        reply.json()["error"],
    )


def test_a_store_holds_pictures_and_annotations_as_files(api, state, picture, tmp_path):
    state.store = tmp_path
    api.upload(picture(1, "JPEG"))
    api.upload(picture(2))
    api.annotate("id-1", '{"a": 1}')
    api.annotate("id-3", "żółw", name="n.txt")

    target = tmp_path / "ws" / "ds"
    assert sorted(path.name for path in target.iterdir()) == [
        "id-1.annotation.json",
        "id-1.info.json",
        "id-1.jpg",
        "id-3.annotation.txt",
        "id-3.info.json",
        "id-3.png",
    ]
    assert picture(2) == (target / "id-3.png").read_bytes()
    assert (target / "id-3.annotation.txt").read_text(encoding="utf-8") == "żółw"
    info = json.loads((target / "id-1.info.json").read_text(encoding="utf-8"))
    assert '{"a": 1}' == info["annotations"][0]["body"]


def test_text_that_is_no_unicode_is_stored_escaped(api, state, picture, tmp_path):
    state.store = tmp_path
    api.upload(picture(1))

    reply = api.call(
        "POST",
        "/dataset/ds/annotate/id-1",
        query=[("name", "a.txt")],
        data='{"annotationFile": "\\ud800"}',
        headers={"Content-Type": "application/json"},
    )

    assert reply.status_code == 200
    assert (tmp_path / "ws" / "ds" / "id-1.annotation.txt").read_text() == "\\ud800"


def test_the_first_batch_of_a_name_is_the_one_that_grows(api, state, picture):
    state.workspaces[0].projects[0].batches = [
        Batch(id="b1", name="b", images=5),
        Batch(id="b2", name="b"),
    ]
    api.upload(picture())

    assert [6, 0] == [b["images"] for b in api.get("/ws/ds/batches").json()["batches"]]


def test_pictures_can_be_there_from_the_start(api, state, picture):
    earlier = StoredImage(id="old", name="o.jpg", sha256=content_hash(picture(1)))
    state.workspaces[0].projects = [Project("ds", images={"old": earlier})]

    assert {"duplicate": True, "id": "old"} == api.upload(picture(1)).json()


def test_many_clients_uploading_one_picture_store_it_once(api, server, picture):
    def upload(_number: int) -> dict:
        url = f"{api.url}/dataset/ds/upload?api_key=k&batch=b"
        return requests.post(url, files={"file": ("f", picture())}, timeout=30).json()

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(upload, range(32)))

    assert 1 == sum(reply.get("success", False) for reply in replies)
    assert 31 == sum(reply.get("duplicate", False) for reply in replies)
    assert 1 == len({reply["id"] for reply in replies})
    assert 1 == held(server)["batches"][0]["images"]
