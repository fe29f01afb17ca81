import { rpcContract } from "@heddle/port-rpc/contract";
import { afterAll } from "vitest";
import { grpcFixture, openAuthority } from "./testing.ts";

const authority = openAuthority();
afterAll(() => authority[Symbol.dispose]());
const tls = { server: authority.issue("coordinator", "here"), client: authority.issue("client", "alice") };

rpcContract("gRPC over TCP with a token", () => grpcFixture("tcp"), { encodes: true });
rpcContract("gRPC over unix sockets", () => grpcFixture("unix"), { encodes: true });
rpcContract("gRPC over mTLS", () => grpcFixture("tcp", tls), { encodes: true });
