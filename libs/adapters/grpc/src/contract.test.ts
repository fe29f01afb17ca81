import { rpcContract } from "@heddle/port-rpc/contract";
import { grpcFixture } from "./testing.ts";

rpcContract("gRPC over TCP", () => grpcFixture("tcp"), { encodes: true });
rpcContract("gRPC over unix sockets", () => grpcFixture("unix"), { encodes: true });
