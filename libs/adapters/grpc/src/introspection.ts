import { readFileSync } from "node:fs";
import type { Server } from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer, loadSync, type PackageDefinition } from "@grpc/proto-loader";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation, protoPath as healthProtoPath } from "grpc-health-check";

/** grpc.health.v1 of one server. */
export interface Health {
  /** Every service is NOT_SERVING from now on. */
  readonly stopServing: () => void;
}

/** Serves grpc.health.v1 for the server as a whole (the empty name) and for `services`. */
export function addHealth(server: Server, services: readonly string[]): Health {
  const names = ["", ...services];
  const health = new HealthImplementation(Object.fromEntries(names.map((name) => [name, "SERVING"])));
  health.addToServer(server);
  return {
    stopServing: () => {
      for (const name of names) health.setStatus(name, "NOT_SERVING");
    },
  };
}

/** The methods of reflection, which are streams. */
export const reflectionPaths: readonly string[] = ["v1", "v1alpha"].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
);

/** Serves reflection v1 (and v1alpha) for what the descriptor set describes and for grpc.health.v1. */
export function addReflection(server: Server, descriptorSet: Uint8Array | string): void {
  const bytes = typeof descriptorSet === "string" ? readFileSync(descriptorSet) : Buffer.from(descriptorSet);
  const definitions: PackageDefinition = { ...loadFileDescriptorSetFromBuffer(bytes), ...loadSync(healthProtoPath) };
  new ReflectionService(definitions).addToServer(server);
}
