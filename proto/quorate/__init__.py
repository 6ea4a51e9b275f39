"""The wire contract: gRPC stubs (`quorate.v1`) and the documents that travel in them (`quorate.contract`)."""
