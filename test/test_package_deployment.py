"""What deploy/ and docker/ say about the node agrees with the node and with the checkout."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

from mtpano_model.robot.views import cube_views

ROOT = Path(__file__).parents[1]
NODE, NAMESPACE = "pano_node", "/mtpano"


def allowed(kind: str, permission: str) -> set[str]:
    """Full names that the SROS 2 policy allows, for example of topics to publish."""
    profile = ElementTree.parse(ROOT / "deploy" / "sros2_policy.xml").getroot().find(".//profile")
    assert (profile.get("ns"), profile.get("node")) == (NAMESPACE, NODE)
    names = [one.text for one in profile.findall(f"{kind}s[@{permission}='ALLOW']/{kind}")]
    return {full_name(name) for name in names}


def full_name(name: str) -> str:
    if name.startswith("~/"):
        return f"{NAMESPACE}/{NODE}/{name[2:]}"
    return name if name.startswith("/") else f"{NAMESPACE}/{name}"


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> dict[str, set[str]]:
    """What the running node publishes, subscribes to and serves, as another node sees it."""
    rclpy = pytest.importorskip("rclpy", reason="no ROS 2 here")
    from fake_model import write_fake_model
    from processes import running

    model = write_fake_model(tmp_path_factory.mktemp("model") / "fake.onnx")
    arguments = shlex.split(
        f"--ros-args -r __ns:={NAMESPACE} -r image:=/image -p model:={model} "
        "-p keep_subscribed:=true"
    )
    context = rclpy.Context()
    context.init()
    with running("mtpano_ros.node", *arguments) as process:
        process.wait_for("listening")
        looker = rclpy.create_node("looker", context=context)
        find = {
            "publish": looker.get_publisher_names_and_types_by_node,
            "subscribe": looker.get_subscriber_names_and_types_by_node,
            "reply": looker.get_service_names_and_types_by_node,
        }
        deadline = time.monotonic() + 20
        while (NODE, NAMESPACE) not in looker.get_node_names_and_namespaces():
            assert time.monotonic() < deadline, "not within 20 s: the node is in the graph"
            time.sleep(0.1)
        time.sleep(0.5)  # its topics follow its name
        found = {key: {name for name, _ in ask(NODE, NAMESPACE)} for key, ask in find.items()}
        looker.destroy_node()
    context.try_shutdown()
    return found


def test_policy_allows_what_the_node_publishes(graph):
    assert f"{NAMESPACE}/depth" in graph["publish"]
    assert graph["publish"] <= allowed("topic", "publish")


def test_policy_allows_what_the_node_subscribes_to(graph):
    assert "/image" in graph["subscribe"]
    assert graph["subscribe"] <= allowed("topic", "subscribe")


def test_policy_allows_the_nodes_services(graph):
    assert f"{NAMESPACE}/{NODE}/change_state" in graph["reply"]
    assert graph["reply"] <= allowed("service", "reply")


def test_policy_allows_nothing_that_the_node_lacks(graph):
    from mtpano_ros.outputs.views import view_topics

    optional = {
        f"{NAMESPACE}/label_info",  # where vision_msgs is installed
        f"{NAMESPACE}/{NODE}/get_type_description",  # from Jazzy on
        f"{NAMESPACE}/bond",  # where bond is installed
        "/tf",  # where tf2_msgs is, and a frame of the node's own is wanted
        "/tf_static",
        *(  # with views.layout
            f"{NAMESPACE}/{topic.name}"
            for view in cube_views()
            for topic in view_topics(view.name).values()
        ),
    }
    assert allowed("topic", "publish") - graph["publish"] <= optional
    assert allowed("service", "reply") - graph["reply"] <= optional


def test_compose_builds_both_distributions_with_room_for_images():
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    built = {one["build"]["args"]["ROS_DISTRO"] for one in services.values()}
    assert built == {"humble", "jazzy"}
    for one in services.values():
        assert one["ipc"] == "host" or one.get("shm_size")
        assert (ROOT / "docker" / one["build"]["context"] / one["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [("active [3]", True), ("unconfigured [1]", False), ("inactive [2]", False), ("", False)],
)
def test_container_is_healthy_only_while_the_named_node_is_active(tmp_path, answer, healthy):
    text = (ROOT / "docker" / "Dockerfile").read_text()
    check = text.partition("HEALTHCHECK")[2].partition("CMD ")[2].splitlines()[0]
    entrypoint = tmp_path / "entrypoint"
    asked = "ros2 lifecycle get /roof/x"
    entrypoint.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] && echo "{answer}"\n')
    entrypoint.chmod(0o755)
    command = check.replace("/entrypoint", str(entrypoint))
    done = subprocess.run(["bash", "-c", command], env={**os.environ, "MTPANO_NODE": "/roof/x"})
    assert (done.returncode == 0) == healthy


def test_docker_stop_sends_what_launch_passes_on_to_the_node():
    assert "STOPSIGNAL SIGINT" in (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    assert {one["stop_signal"] for one in services.values()} == {"SIGINT"}
    assert "KillSignal=SIGINT" in (ROOT / "deploy" / "mtpano.service").read_text()


def test_dockerfile_copies_files_that_exist():
    lines = (ROOT / "docker" / "Dockerfile").read_text().splitlines()
    sources = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert len(sources) > 5
    for source in sources:
        assert (ROOT / source).exists(), source


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_service_unit_is_valid():
    unit = ROOT / "deploy" / "mtpano.service"
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    # Other units of the machine may be faulty; complaints name theirs.
    assert "mtpano.service" not in done.stderr
