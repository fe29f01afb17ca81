import { grpcFixture, openAuthority } from "@heddle/adapter-grpc/testing";
import { memoryFixture, sessionContract } from "@heddle/port-rpc/contract";
import { afterAll } from "vitest";

const authority = openAuthority();
afterAll(() => authority[Symbol.dispose]());
const tls = { server: authority.issue("coordinator", "here"), client: authority.issue("client", "alice") };

// The same cases over every kind of Rpc, so that what holds in memory holds on the wire.
sessionContract("memory", memoryFixture);
sessionContract("gRPC over TCP with a token", () => grpcFixture("tcp"));
sessionContract("gRPC over unix sockets", () => grpcFixture("unix"));
sessionContract("gRPC over mTLS", () => grpcFixture("tcp", tls));
