import { ClusterWorker, type TaskFunction } from "poolifier";
import { cubes, objects, one, primes, samples } from "../chunk-tasks.ts";

export const worker = new ClusterWorker<unknown, unknown>(
  { one, cubes, samples, primes, objects } as Record<string, unknown> as Record<string, TaskFunction>,
  { maxInactiveTime: 600_000 },
);
