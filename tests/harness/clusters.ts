import { EmbeddedCluster } from "./embedded-cluster.ts";
import { ProcessCluster } from "./process-cluster.ts";
import type { RealCluster } from "./real-cluster.ts";

/** The fabrics with a manager that users have, by the names that tests give them. */
export const clusters: readonly (readonly [name: string, start: () => Promise<RealCluster>])[] = [
  ["an embedded fabric", () => Promise.resolve(new EmbeddedCluster())],
  ["two agents over gRPC", () => ProcessCluster.start({ manager: true })],
];
