import type { RpcClient } from "@heddle/port-rpc";

/** A gRPC client whose library is loaded when it is first needed: embedded fabrics and imports of the package never pay for it. */
export function lazyGrpcClient(): RpcClient {
  let loading: Promise<RpcClient> | undefined;
  const load = (): Promise<RpcClient> => {
    loading ??= import("@heddle/adapter-grpc").then(({ createGrpcClient }) => createGrpcClient());
    return loading;
  };
  return {
    dial: async (method, address, signal) => (await load()).dial(method, address, signal),
    call: async (method, address, request, options) => (await load()).call(method, address, request, options),
    [Symbol.asyncDispose]: async () => {
      await (await loading)?.[Symbol.asyncDispose]();
    },
  };
}
