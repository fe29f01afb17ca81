import { fileURLToPath } from "node:url";
import { createGrpcClient, createGrpcServer } from "@heddle/adapter-grpc";
import { findLocalToken, localTokens } from "@heddle/adapter-system";
import { type Logger, silentLogger } from "@heddle/kernel";
import type { RpcClient, RpcServer } from "@heddle/port-rpc";
import { access, descriptorSetUrl } from "@heddle/wire";

/** A server as the programs have it: clients of this user find its token by its address. */
export function localServer(log: Logger = silentLogger): RpcServer {
  return createGrpcServer({ log, access, tokens: localTokens(), descriptorSet: fileURLToPath(descriptorSetUrl) });
}

/** A client of such servers. */
export function localClient(): RpcClient {
  return createGrpcClient({ findToken: findLocalToken });
}
