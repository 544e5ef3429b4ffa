"""`tools/client_fields.py` reads the code of both generators, here in wheels of the test's own."""

from __future__ import annotations

import zipfile
from pathlib import Path

from packaging.version import Version

from tools.client_fields import knowledge_of, read_wheel, report

SWAGGER = {
    "rime_sdk/swagger/swagger_client/api/job_reader_api.py": """
class JobReaderApi(object):
    def get_job_with_http_info(self, job_id, **kwargs):
        return self.api_client.call_api('/v1/jobs/{jobId}', 'GET', {}, response_type='RimeGetJobResponse')
    def get_user_with_http_info(self, **kwargs):
        return self.api_client.call_api('/v1/users', 'GET', {}, response_type='RimeUser')
""",
    "rime_sdk/swagger/swagger_client/models/rime_get_job_response.py": """
class RimeGetJobResponse(object):
    swagger_types = {'jobs': 'list[RimeJob]'}
    attribute_map = {'jobs': 'jobs'}
""",
    "rime_sdk/swagger/swagger_client/models/rime_job.py": """
class RimeJob(object):
    swagger_types = {'job_type': 'RimeJobType'}
    attribute_map = {'job_type': 'jobType'}
""",
    "rime_sdk/swagger/swagger_client/models/rime_job_type.py": """
class RimeJobType(object):
    IMAGE_BUILDER = "JOB_TYPE_IMAGE_BUILDER"
    swagger_types = {}
    attribute_map = {}
""",
}
OPENAPI = {
    "ri/apiclient/api/job_reader_api.py": """
class JobReaderApi:
    def get_job(self, job_id):
        _response_types_map = {'200': "GetJobResponse"}
    def _get_job_serialize(self, job_id):
        return self.api_client.param_serialize(method='GET', resource_path='/v1/jobs/{jobId}')
""",
    "ri/apiclient/models/get_job_response.py": """
class GetJobResponse(BaseModel):
    jobs: Optional[List[Job]] = None
    model_config = ConfigDict(populate_by_name=True)
""",
    "ri/apiclient/models/job.py": """
class Job(BaseModel):
    job_id: Optional[StrictStr] = Field(default=None, alias="jobId")
    job_type: Optional[JobType] = None
""",
    "ri/apiclient/models/job_type.py": """
class JobType(str, Enum):
    JOB_TYPE_IMAGE_BUILDER = 'JOB_TYPE_IMAGE_BUILDER'
""",
}


def wheel_of(folder: Path, name: str, files: dict[str, str]) -> Path:
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel


def test_fields_and_enums_of_both_generators_are_read(tmp_path: Path) -> None:
    swagger = knowledge_of(read_wheel(wheel_of(tmp_path, "rime_sdk", SWAGGER)))
    assert swagger == {"GET /v1/jobs/{jobId}": {"jobs[].jobType": ("JOB_TYPE_IMAGE_BUILDER",)}}
    openapi = knowledge_of(read_wheel(wheel_of(tmp_path, "robustintelligence", OPENAPI)))
    # The second has no name for the field in JSON, so that client never reads it.
    assert openapi == {
        "GET /v1/jobs/{jobId}": {
            "jobs[].jobId": (),
            "jobs[].job_type!": ("JOB_TYPE_IMAGE_BUILDER",),
        }
    }


def test_the_report_names_series_and_the_versions_of_a_split_one() -> None:
    old, new = {"GET /v1/images": {"a": ()}}, {"GET /v1/images": {"a": (), "b": ()}}
    versions = {"0.20.0": old, "2.0.0": old, "2.1.0": old, "2.1.1": new, "2.2.0": new}
    known = {("rime-sdk", Version(name)): knows for name, knows in versions.items()}
    assert list(report(known)) == [  # type: ignore[arg-type]
        "\nGET /v1/images: rime-sdk 0.20-2.2",
        "  all: a",
        "  rime-sdk 2.1.1, 2.2: b",
    ]
