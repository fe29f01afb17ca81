/** What a thread runs that keeps sessions with managers alive, whatever the program's own loop does. */
import { createGrpcClient } from "@heddle/adapter-grpc";
import { serveLeaseThread, systemEnvironment } from "@heddle/adapter-system";
import { streamLeases } from "@heddle/client";
import { grpcOptions, lazyClient } from "./lazy-grpc.ts";

const env = systemEnvironment();
serveLeaseThread(env, (credentials) => {
  const options = grpcOptions(credentials, env.log);
  const client = lazyClient(async () => createGrpcClient(options)); // files that are just being replaced do not end the thread
  const { keep } = streamLeases(env, client);
  return { keep, [Symbol.asyncDispose]: () => client[Symbol.asyncDispose]() };
});
