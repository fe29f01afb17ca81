export { createGrpcClient, type GrpcClientOptions } from "./grpc-client.ts";
export { createGrpcServer, type GrpcServerOptions } from "./grpc-server.ts";
