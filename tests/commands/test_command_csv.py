import io

import pytest

from adapters.commands.api import BadLine, Credential, NewDevice
from adapters.commands.csv_devices import CsvDevices
from adapters.commands.csv_exported import EXPORTED
from adapters.commands.csv_rows import MAX_LINE_BYTES
from adapters.commands.csv_serials import CsvSerials
from adapters.commands.failure import UsageError
from adapters.commands.issuing_api import NewSerial


def read(content: bytes | str, has_profile: bool = True) -> list[NewDevice | BadLine]:
    raw = content if isinstance(content, bytes) else content.encode()
    return list(CsvDevices(io.BytesIO(raw), has_profile))


def token(value: str) -> Credential:
    return Credential(type="access_token", token=value)


def test_columns_have_meanings_by_name() -> None:
    content = "label,profile,Name,batch,token\nCellar,meters,m-1,7,t-1\n,,m-2,,\n"
    assert read(content) == [
        NewDevice(name="m-1", line=2, profile="meters", credential=token("t-1"), metadata={"label": "Cellar", "batch": "7"}),
        NewDevice(name="m-2", line=3),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write(delimiter: str, mark: bytes, end: str) -> None:
    text = end.join(
        [delimiter.join(["name", "site"]), delimiter.join(["m-1", '"a,b;c\td ""e"""']), delimiter.join(["m-2", ""])]
    )
    assert read(mark + text.encode()) == [
        NewDevice(name="m-1", line=2, metadata={"site": 'a,b;c\td "e"'}),
        NewDevice(name="m-2", line=3),
    ]


def test_credentials_of_each_kind() -> None:
    content = (
        'name,client_id,username,password,certificate\nm-1,c,u,p,\nm-2,c,,,\nm-3,,,,"-----BEGIN\nMIIB\n-----END"\nm-4,,,,\n'
    )
    assert [device.credential for device in read(content) if isinstance(device, NewDevice)] == [
        Credential(type="mqtt_basic", client_id="c", username="u", password="p"),
        Credential(type="mqtt_basic", client_id="c"),
        Credential(type="x509_certificate", certificate="-----BEGIN\nMIIB\n-----END"),
        None,
    ]


def test_a_client_secret_is_a_credential_and_no_metadata() -> None:
    assert read("name,client_secret\nm-1,s-1\n") == [
        NewDevice(name="m-1", line=2, credential=Credential(type="client_secret", secret="s-1"))
    ]


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    content = 'name,note\nm-1,"two\nlines"\n\n  , \nm-2,\n,x\n'
    assert [device.line for device in read(content)] == [2, 6, 7]


@pytest.mark.parametrize(
    ("line", "name", "reason"),
    [
        (b",t", "", "name is empty"),
        (b"  ,t", "", "name is empty"),
        (b"m,t,,extra", "", "4 cells under 3 columns"),
        (b"m,t,,", "", "4 cells under 3 columns"),
        (b"m\xff,t", "", "not UTF-8 text"),
        (b"m,,note", "m", "a cell under a column without a name"),
        (b'm,"t"x', "", "',' expected after '\"'"),
        (b'm,"t', "", "unexpected end of data"),
        (b"m," + b"t" * MAX_LINE_BYTES, "", "longer than 262,144 bytes"),
    ],
)
def test_a_bad_line_has_its_reason_and_the_next_one_counts(line: bytes, name: str, reason: str) -> None:
    found = read(b"name,token,\nm-1,t-1\n" + line)
    assert found == [NewDevice(name="m-1", line=2, credential=token("t-1")), BadLine(3, name, reason)]
    if not line.endswith(b'"t'):
        assert read(b"name,token,\n" + line + b"\nm-9,\n")[1] == NewDevice(name="m-9", line=3)


def test_a_quote_that_is_never_closed_costs_a_bounded_part() -> None:
    lines = [f"m-{number:06},t" for number in range(20_000)]
    lines[10] = 'm-x,"t'
    found = read("name,token\n" + "\n".join(lines))
    bad = [each for each in found if isinstance(each, BadLine)]
    assert bad[0].line == 12
    assert "field larger than field limit" in bad[0].reason
    last = int(bad[0].reason.rpartition("up to line ")[2].rstrip(")"))
    assert len(bad) == 1
    assert len(found) == 20_000 - (last - 12)
    assert found[-1] == NewDevice(name="m-019999", line=20_001, credential=token("t"))


def test_two_kinds_of_credential_are_one_too_many() -> None:
    assert read("name,token,username\nm,t,u\n") == [
        BadLine(2, "m", "access_token and mqtt_basic: a device has one kind of credential")
    ]


def test_a_profile_comes_from_the_line_or_the_command() -> None:
    assert read("name,profile\nm,\n", has_profile=True) == [NewDevice(name="m", line=2)]
    assert read("name,profile\nm,\n", has_profile=False) == [BadLine(2, "m", "profile is empty, and there is no --profile")]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must be `name`"),
        (b"serial,token\nm,t\n", "must be `name`"),
        (b"name,token,Token\n", "two columns are named `token`"),
        (b"name\n", "no profile: give --profile P or a column `profile`"),
        (b"name,\xff\n", "not UTF-8"),
        ("name,profile\n".encode("utf-16"), "not UTF-8"),
        (b'"name\n', "names no columns: unexpected end of data"),
        (b"x" * MAX_LINE_BYTES, "names no columns: longer than"),
    ],
)
def test_a_file_that_cannot_be_imported_is_a_usage_error(content: bytes, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        CsvDevices(io.BytesIO(content), has_profile=False)


def test_consumed_counts_bytes() -> None:
    content = b"\xef\xbb\xbfname\n" + b"m" * (MAX_LINE_BYTES + 5) + b"\nm-2\n"
    devices = CsvDevices(io.BytesIO(content), has_profile=True)
    assert [each.line for each in devices] == [2, 3]
    assert devices.consumed == len(content)


EXPORT = (
    "name,id,profile,state,enabled,created_at,serial,label,owner,firmware,runs,provisioned_at,site\n"
    "m-1,d1,p1,connected,true,2026-11-21T09:54:24.265Z,S-1,Pump,o1,1.4.0,1.3.0,2026-11-21T09:54:25.265Z,Ulm\n"
)


def test_what_an_export_says_of_a_device_becomes_no_metadata() -> None:
    devices = CsvDevices(io.BytesIO(EXPORT.encode()), has_profile=False)
    told = "id, state, enabled, created_at, serial, label, owner, firmware, runs, provisioned_at"
    assert devices.remark == f"an exported file: these columns are not taken: {told}"
    assert list(devices) == [NewDevice(name="m-1", line=2, profile="p1", metadata={"site": "Ulm"})]


def test_the_serials_of_an_export_are_taken() -> None:
    serials = CsvSerials(io.BytesIO(EXPORT.encode()))
    assert serials.remark.startswith("an exported file: these columns are not taken: name, id, profile, state")
    assert list(serials) == [(2, NewSerial(serial="S-1", label="Pump", metadata={"site": "Ulm"}))]


@pytest.mark.parametrize("column", sorted(EXPORTED - {"profile"}))
def test_in_any_other_file_such_a_column_is_metadata(column: str) -> None:
    content = f"name,{column}\nm-1,x\n"
    assert read(content) == [NewDevice(name="m-1", line=2, metadata={column: "x"})]
    assert CsvDevices(io.BytesIO(content.encode()), has_profile=True).remark == ""


def test_a_name_is_metadata_of_a_serial_that_no_export_wrote() -> None:
    serials = CsvSerials(io.BytesIO(b"serial,name,state\nS-1,x,new\n"))
    assert serials.remark == ""
    assert list(serials) == [(2, NewSerial(serial="S-1", metadata={"name": "x", "state": "new"}))]
