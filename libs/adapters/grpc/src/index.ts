export { askHealth } from "./ask-health.ts";
export { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
export { checkListen, createGrpcServer, type GrpcServerOptions, type LocalTokens, tryListen } from "./grpc-server.ts";
