export { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
export { checkListen, createGrpcServer, type GrpcServerOptions, type LocalTokens } from "./grpc-server.ts";
