"""The calls that the public clients are tried with, in code that runs in their own process.

A call succeeds if its assertions hold. Versions have different names for the same generated method, and some
have no such method: then the code raises `LookupError`.
"""

from __future__ import annotations

RIME_SDK = """
import urllib.request
from rime_sdk import Client, image_builder
from rime_sdk.swagger import swagger_client

def call(api, *names, **arguments):
    generated = getattr(swagger_client, api)(client._api_client)
    found = [getattr(generated, name) for name in names if hasattr(generated, name)]
    if not found:
        raise LookupError("no such method")
    return found[0](**arguments)

ImageBuilder = getattr(image_builder, "RIMEImageBuilder", None) or image_builder.ImageBuilder
"""

RIME_CALLS = {
    "connect": "client = Client(url, token)",
    "create": '''
requirements = [client.pip_requirement("numpy", ">=2")]
made = client.create_managed_image(new, requirements, python_version="3.11")
assert new in str(made)
assert made.get_status()["status"] == "STATUS_BUILDING_FIRST_TIME"
''',
    "image types": '''
try:
    from rime_sdk.client import ImageType
except ImportError:
    raise LookupError("image types ended with 0.20")
for kind in (ImageType.ALL, ImageType.IMAGES, ImageType.NLP, ImageType.TABULAR):
    made = client.create_managed_image(f"{new}-{kind.value}", requirements, image_type=kind)
    assert made.get_status()["rime_image_type"] == f"BASE_IMAGE_TYPE_{kind.value.upper()}"
try:
    client.create_managed_image(f"{new}-security", requirements, image_type=ImageType.SECURITY)
except ValueError as error:
    assert "provides no base image of type security" in str(error), error
else:
    raise AssertionError("security was accepted")
''',
    "get": '''
image = client.get_managed_image(ready)
assert image["name"] == ready
assert image["status"] == "STATUS_READY"
assert image["python_version"] == "3.11"
assert image["role_type"] == "ROLE_TYPE_USER_DEFINED"
assert image["base_image"]["reference_type"] == "REFERENCE_TYPE_MANAGED"
assert image["rime_tag"]
assert image["pip_libraries"] == [{"name": "numpy", "version": "2.4.6"}]
assert [package["package_type"] for package in image["package_requirements"]] == ["PACKAGE_TYPE_APT"]
''',
    "wait": '''
builder = ImageBuilder(client._api_client, ready)
assert builder.get_status(wait_until_finish=True, poll_rate_sec=0)["status"] == "STATUS_READY"
''',
    "list": '''
filters = [client.pip_library_filter("numpy", "2.4.6")]
assert {ready, *many} <= {image["name"] for image in client.list_managed_images(filters)}
assert not list(client.list_managed_images([client.pip_library_filter("numpy", "1.0")]))
''',
    "has": '''
assert client.has_managed_image(ready, check_status=True)
assert client.has_managed_image(failing)
assert not client.has_managed_image("nobody")
''',
    "delete": '''
if not hasattr(client, "delete_managed_image"):
    raise LookupError("no such method")
client.delete_managed_image(many[0])
assert not client.has_managed_image(many[0])
''',
    "get job": '''
job = client.get_job(ready_job)
assert type(job).__name__ == "ImageBuilderJob"
assert "JOB_STATUS_SUCCEEDED" in str(job)
told = job.get_status(verbose=True, wait_until_finish=True, poll_rate_sec=0)
assert told["status"] == "JOB_STATUS_SUCCEEDED" and told["job_type"] == "JOB_TYPE_IMAGE_BUILDER"
assert told["running_time_secs"] == 12.5
assert job.get_agent_id()
''',
    "failed job": '''
job = client.get_job(failing_job)
told = job.get_status(verbose=True, wait_until_finish=True, poll_rate_sec=0)
assert told["status"] == "JOB_STATUS_FAILED"
assert "nosuchlib" in (told.get("error_msg") or "nosuchlib")
''',
    "log address": '''
told = client.get_job(failing_job).get_job_debug_logs_link()
address = "http" + told.split("http")[1].split()[0].rstrip("',}")
assert urllib.request.urlopen(address).read().decode() == "Resolving nosuchlib\\n"
''',
    "log": '''
logs = call("ModelTestingApi", "get_latest_logs", "model_testing_get_latest_logs", job_id=failing_job)
assert logs.result.chunk == "Resolving nosuchlib\\n"
''',
    "list jobs": '''
try:
    jobs = call("JobReaderApi", "job_reader_list_jobs", page_size=1,
                first_page_query_selected_types=["JOB_TYPE_IMAGE_BUILDER"],
                first_page_query_selected_statuses=["JOB_STATUS_FAILED"])
except LookupError:
    jobs = call("JobReaderApi", "list_jobs_for_project", "job_reader_list_jobs_for_project",
                project_id_uuid=workspace, first_page_query_selected_statuses=["JOB_STATUS_FAILED"])
assert [job.job_id for job in jobs.jobs] == [failing_job]
''',
    "cancel": '''
call("JobReaderApi", "cancel_job", "job_reader_cancel_job", job_id=running_job)
told = client.get_job(running_job).get_status(verbose=False)
assert told["status"] == "JOB_STATUS_CANCELLED" and told["cancellation_requested"]
''',
    "firewall": '''
try:
    from rime_sdk.firewall import Firewall
    firewall = Firewall(client._api_client, model)
    swap = firewall.update_managed_image
except (ImportError, AttributeError):
    raise LookupError("an image of a firewall ended with 0.20")
assert firewall.get_managed_image() == "No Managed Image on Firewall"
assert swap(ready) is not None
assert firewall.get_managed_image() == ready
''',
    "features": '''
told = call("FeatureFlagApi", "list_enabled_features", "feature_flag_list_enabled_features",
            customer_name=client.customer_name)
assert told.enabled_features == []
''',
}  # fmt: skip

ROBUSTINTELLIGENCE = """
import urllib.request
from ri import RIClient, apiclient
from ri.apiclient.exceptions import NotFoundException

def named(module, *names):
    return next(getattr(module, name) for name in names if hasattr(module, name))

PipRequirement = named(apiclient, "PipRequirement", "ManagedImagePipRequirement")
PackageRequirement = named(apiclient, "PackageRequirement", "ManagedImagePackageRequirement")
PipLibraryFilter = named(apiclient, "PipLibraryFilter", "ListImagesRequestPipLibraryFilter")

def has(name):
    try:
        return bool(images.get_image(name))
    except NotFoundException:
        return False
"""

ROBUSTINTELLIGENCE_CALLS = {
    "connect": '''
client = RIClient(url, token)
images, jobs = client.image_registry, client.job_reader
info = apiclient.RIMEInfoApi(client._api_client).get_rime_info()
assert info.customer_name == "instance"
limit = client.feature_flag.get_limit_status("instance", "LICENSE_LIMIT_EXPIRATION")
''',
    "create": '''
made = images.create_image(
    name=new,
    pip_requirements=[PipRequirement(name="numpy", version_specifier=">=2")],
    package_requirements=[PackageRequirement(name="jq", package_type="PACKAGE_TYPE_APT")],
    python_version="3.11",
)
assert made.image.status.value == "STATUS_BUILDING_FIRST_TIME"
assert made.job.status.value == "JOB_STATUS_PENDING"
''',
    "get": '''
image = images.get_image(ready).image
assert (image.name, image.status.value, image.python_version) == (ready, "STATUS_READY", "3.11")
assert image.rime_tag and image.base_image.name
assert [(item.name, item.version) for item in image.pip_libraries] == [("numpy", "2.4.6")]
told = (image.role_type, image.base_image.reference_type, image.package_requirements[0].package_type)
told = [item and item.value for item in told]
# From 2.10.14 on the client has no names in JSON for these, and gives None whatever is answered.
assert told in (
    ["ROLE_TYPE_USER_DEFINED", "REFERENCE_TYPE_MANAGED", "PACKAGE_TYPE_APT"], [None, None, None]
), told
''',
    "list": '''
def names(ask, **filters):
    token, found = "", set()
    while True:
        page = ask(page_token=token, page_size="20", **({} if token else filters))
        found |= {image.name for image in page.images}
        if page.next_page_token == token:
            return found
        token = page.next_page_token
assert {ready, *many} <= names(named(images, "list_images", "image_registry_list_images"))
by_libraries = named(images, "list_images2", "image_registry_list_images2")
assert {ready, *many} <= names(by_libraries, pip_libraries=[PipLibraryFilter(name="numpy")])
assert not names(by_libraries, pip_libraries=[PipLibraryFilter(name="numpy", version="1.0")])
''',
    "delete": '''
images.delete_image(many[0])
assert not has(many[0]) and has(ready)
''',
    "get job": '''
job = jobs.get_job(ready_job, view="JOB_VIEW_FULL").job
assert (job.job_id, job.status.value, job.running_time_secs) == (ready_job, "JOB_STATUS_SUCCEEDED", 12.5)
assert job.job_type is None or job.job_type.value == "JOB_TYPE_IMAGE_BUILDER"
''',
    "wait": '''
if not hasattr(client, "utils"):
    raise LookupError("it waits since 2.10")
assert client.utils.await_job_completion(apiclient.ID(uuid=ready_job)).value == "JOB_STATUS_SUCCEEDED"
''',
    "failed job": '''
assert "nosuchlib" in jobs.get_job(failing_job).job.error_msg
''',
    "log address": '''
kept = jobs.get_job(failing_job, view="JOB_VIEW_FULL").job.archived_job_logs
assert kept.expiration_time
assert urllib.request.urlopen(kept.url.url).read().decode() == "Resolving nosuchlib\\n"
''',
    "list jobs": '''
found = jobs.list_jobs_for_project(
    workspace, first_page_query_selected_statuses=["JOB_STATUS_FAILED"]
)
assert [job.job_id for job in found.jobs] == [failing_job]
''',
    "cancel": '''
jobs.cancel_job(running_job)
assert jobs.get_job(running_job).job.status.value == "JOB_STATUS_CANCELLED"
''',
    "features": '''
assert client.feature_flag.list_enabled_features("instance").enabled_features == []
''',
}  # fmt: skip

# What runs first in the process of a client, and its calls.
CALLS = {
    "rime-sdk": (RIME_SDK, RIME_CALLS),
    "robustintelligence": (ROBUSTINTELLIGENCE, ROBUSTINTELLIGENCE_CALLS),
}
COLUMNS = list(RIME_CALLS)
