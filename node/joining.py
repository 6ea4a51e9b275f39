"""Joining over the network: a one-time token for a certificate, told only to the hub whose root is known."""

from __future__ import annotations

import grpc
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from node.config import Home
from node.renewal import private_key
from privacy.errors import Refused, UsageProblem
from quorate.contract.canonical import read_bytes
from quorate.contract.chain import parse_chain, pem_of, replace_file, require_issued
from quorate.contract.charter import Charter
from quorate.contract.handshake import shake_hands
from quorate.contract.identity import Identity, certificate_identity
from quorate.contract.transport import explained
from quorate.contract.zoning import Zoning
from quorate.v1 import enrolment_pb2 as pb
from quorate.v1.enrolment_pb2_grpc import EnrolmentServiceStub

CALL_SECONDS = 30.0
#: A zoning may be larger than gRPC's messages are by default.
_LARGEST = 256 << 20


def join(home: Home, address: str, token: str, root_fingerprint: str, expected: Identity) -> None:
    """Exchange a token for certificate, charter and zoning, and put them into the node's directory.

    The same again, with the same request, gives the same certificate.

    Parameters
    ----------
    home
        The node's directory, with the key and the request of `quorate-node init`.
    address
        host:port at which the hub lets nodes enrol.
    token
        As the hub operator told it.
    root_fingerprint
        SHA-256 of the hub's root certificate, hexadecimal, told over another channel than the token.
    expected
        Who the certificate must belong to; the number of the node is that of the request.

    Raises
    ------
    UsageProblem
        If another root, charter or zoning is in the directory.
    PeerProblem
        If the hub does not answer, is not the one of the fingerprint, or refuses the token.
    """
    request = read_bytes(home.request)
    root = trusted_root(address, root_fingerprint)
    answer = _call(address, root, pb.EnrolRequest(token=token, signing_request=request))
    _require_ours(home, answer, root, expected)
    documents = ((home.hub_root, pem_of(root)), (home.charter, answer.charter), (home.zoning, answer.zoning))
    for path, data in documents:
        if path.exists() and path.read_bytes() != data:
            raise UsageProblem(
                f"the hub sends another {path.name} than the one in {home.root}",
                means="the node would decide by rules that its operator has not agreed to",
                todo=f"if the change is meant, move {path} aside and run the same command again: the token holds",
            )
    for path, data in (*documents, (home.certificate, answer.certificate_chain)):
        replace_file(path, data)


def trusted_root(address: str, fingerprint: str) -> x509.Certificate:
    """Return the root that the server at an address shows, if it has this fingerprint (Refused if not)."""
    shown = shake_hands(address)
    wanted = fingerprint.lower().replace(":", "")
    if shown.root_fingerprint != wanted:
        raise Refused(
            f"the root certificate shown at {address} has the fingerprint {shown.root_fingerprint}, "
            "not the one that was given",
            means="somebody may be standing between this node and the hub; nothing was sent",
            todo="check address and fingerprint with the hub operator, and have no proxy open this connection",
        )
    root = shown.chain[-1]
    try:
        root.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise Refused(
            f"the certificate with this fingerprint at {address} is no root",
            todo="get the fingerprint of the root from the hub operator",
        ) from error
    return root


def _call(address: str, root: x509.Certificate, request: pb.EnrolRequest) -> pb.EnrolResponse:
    """Send the token over a connection that is verified against this root alone."""
    credentials = grpc.ssl_channel_credentials(pem_of(root))
    options = [("grpc.max_receive_message_length", _LARGEST), ("grpc.enable_retries", 0)]
    with grpc.secure_channel(address, credentials, options=options) as channel:
        try:
            answer: pb.EnrolResponse = EnrolmentServiceStub(channel).Enrol(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            raise explained(error, address) from error
    return answer


def _require_ours(home: Home, answer: pb.EnrolResponse, root: x509.Certificate, expected: Identity) -> None:
    try:
        chain = parse_chain(answer.certificate_chain, "what the hub sent")
        require_issued(chain, root, "that the hub sent")
        found = certificate_identity(chain[0])
        Charter.from_wire(answer.charter, "the charter that the hub sent")
        Zoning.from_wire(answer.zoning, "the zoning that the hub sent")
    except UsageProblem as error:
        raise Refused(error.what, todo="report it to the hub operator") from error
    same = (found.network, found.role, found.name) == (expected.network, expected.role, expected.name)
    if not same or chain[0].public_key() != private_key(home).public_key():
        raise Refused("the hub sent a certificate of somebody else", todo="report it to the hub operator")
