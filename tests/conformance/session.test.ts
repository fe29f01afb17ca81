import { grpcFixture } from "@heddle/adapter-grpc/testing";
import { memoryFixture, sessionContract } from "@heddle/port-rpc/contract";

// The same cases over every kind of Rpc, so that what holds in memory holds on the wire.
sessionContract("memory", memoryFixture);
sessionContract("gRPC over TCP", () => grpcFixture("tcp"));
sessionContract("gRPC over unix sockets", () => grpcFixture("unix"));
