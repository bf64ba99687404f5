"""The documents of the replies, in the recorded shapes, and the server's own summary."""

from al_framework_roboflow.server.state import (
    Annotation,
    Batch,
    Job,
    Project,
    State,
    StoredImage,
    Workspace,
)

Document = dict[str, object]

# Recorded with a 409; the official SDK looks for "already annotated" in it.
ALREADY_ANNOTATED: Document = {"error": {"message": "Image was already annotated."}}


def project_document(workspace: Workspace, project: Project, created: float) -> Document:
    """Return what stands under ``project`` in the reply to B."""
    unannotated = sum(1 for image in project.images.values() if not image.annotations)
    document: Document = {
        "id": f"{workspace.name}/{project.name}",
        "name": project.name,
        "created": created,
        "updated": created,
        "images": len(project.images),
        "unannotated": unannotated,
        "annotation": project.name,
        "public": False,
        "splits": {},
        "colors": {},
        "classes": {},
    }
    return document if project.type is None else {**document, "type": project.type}


def workspace_document(workspace: Workspace, created: float) -> Document:
    """Return what stands under ``workspace`` in the reply to GET ``/{workspace}``."""
    return {
        "name": workspace.name,
        "url": workspace.name,
        "members": 1,
        "projects": [project_document(workspace, p, created) for p in workspace.projects],
    }


def batch_document(batch: Batch) -> Document:
    """Return one entry of the reply to D."""
    return {
        "id": batch.id,
        "name": batch.name,
        "images": batch.images,
        "numJobs": batch.num_jobs,
    }


def job_document(job: Job) -> Document:
    """Return one entry of the reply to E."""
    source = job.source_batch
    return {
        "sourceBatch": source if isinstance(source, str) else list(source),
        "numImages": job.num_images,
    }


def state_document(state: State) -> Document:
    """Return everything the server holds, without keys and without pictures' bytes."""
    with state.lock:
        return {
            "workspaces": {
                workspace.name: {p.name: _project(p) for p in workspace.projects}
                for workspace in state.workspaces
            }
        }


def image_document(image: StoredImage) -> Document:
    """Return what is known of a picture, all its annotations included."""
    return {
        "id": image.id,
        "name": image.name,
        "sha256": image.sha256,
        "length": image.length,
        "format": image.format,
        "size": list(image.size),
        "batch": image.batch,
        "tags": list(image.tags),
        "split": image.split,
        "inference_id": image.inference_id,
        "metadata": image.metadata,
        "annotations": [_annotation(annotation) for annotation in image.annotations],
    }


def _project(project: Project) -> Document:
    return {
        "type": project.type,
        "configuration": project.configuration,
        "batches": [batch_document(batch) for batch in project.batches],
        "jobs": [job_document(job) for job in project.jobs],
        "images": [image_document(image) for image in project.images.values()],
    }


def _annotation(annotation: Annotation) -> Document:
    return {
        "name": annotation.name,
        "body": annotation.body,
        "prediction": annotation.prediction,
        "job_name": annotation.job_name,
        "labelmap": annotation.labelmap,
    }
