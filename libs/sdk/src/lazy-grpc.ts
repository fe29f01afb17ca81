import type { GrpcClientOptions } from "@heddle/adapter-grpc";
import { findLocalToken, localTokenDirectory } from "@heddle/adapter-system";
import type { Logger } from "@heddle/kernel";
import type { Credentials, RpcClient } from "@heddle/port-rpc";

/** A gRPC client whose library is loaded when it is first needed: embedded fabrics and imports of the package never pay for it. */
export function lazyGrpcClient(credentials: Credentials, log: Logger): RpcClient {
  return lazyClient(async () => {
    const { createGrpcClient } = await import("@heddle/adapter-grpc");
    return createGrpcClient(grpcOptions(credentials, log));
  });
}

/** Of a client with these credentials. It finds the secrets of this user's servers at loopback by itself. */
export function grpcOptions(credentials: Credentials, log: Logger): GrpcClientOptions {
  return { ...credentials, findToken: findLocalToken, tokenPlace: localTokenDirectory(), log };
}

/**
 * A client that is made when it is first needed. What `make` rejects with, as for files of TLS that are not good, is what dials and calls reject with; the next one
 * tries again, since files are mended.
 */
export function lazyClient(make: () => Promise<RpcClient>): RpcClient {
  let making: Promise<RpcClient> | undefined;
  const made = async (): Promise<RpcClient> => {
    making ??= make();
    const mine = making;
    try {
      return await mine;
    } catch (error) {
      if (making === mine) making = undefined;
      throw error;
    }
  };
  return {
    dial: async (method, address, signal) => (await made()).dial(method, address, signal),
    call: async (method, address, request, options) => (await made()).call(method, address, request, options),
    [Symbol.asyncDispose]: async () => {
      const client = await making?.catch(() => undefined); // one that was not made needs no end
      await client?.[Symbol.asyncDispose]();
    },
  };
}
