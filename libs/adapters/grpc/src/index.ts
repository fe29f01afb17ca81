export { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
export { createGrpcServer, type GrpcServerOptions, type LocalTokens } from "./grpc-server.ts";
