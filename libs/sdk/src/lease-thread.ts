/** What a thread runs that keeps a session with the manager alive, whatever the program's own loop does. */
import { createGrpcClient } from "@heddle/adapter-grpc";
import { serveLeaseThread, systemEnvironment } from "@heddle/adapter-system";
import { streamLeases } from "@heddle/client";

const env = systemEnvironment();
serveLeaseThread(env, streamLeases(env, createGrpcClient()));
