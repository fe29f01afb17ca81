import { openScope } from "@heddle/adapter-processes";
import { Fabric, OnceEffects, PipeTransport } from "@heddle/client";
import { endlessLeases } from "@heddle/port-rpc";
import type { Shipper } from "@heddle/port-shipper";
import type { InsideObjects } from "@heddle/shell-worker";
import type { InsideWorker } from "@heddle/sim";
import { protocolVersion } from "@heddle/wire";

/** What the fabric inside a worker needs of the cluster around it. */
export interface InsideOptions {
  readonly shipper: Shipper;
  readonly build: string;
  readonly nodeMajor: number;
  /** Given the fabric of each worker, by its process id. */
  readonly made: (pid: number, fabric: Fabric) => void;
}

/** What `heddle` is inside a simulated worker: a fabric whose session with the manager is the agent's, as in the real one. */
export function simulatedInside({ shipper, build, nodeMajor, made }: InsideOptions) {
  return ({ runtime, env, pid }: InsideWorker): InsideObjects => {
    const { dial, hold, keep, objects, attempt } = runtime;
    let lastOwner = 0;
    const transport = (): PipeTransport => new PipeTransport(objects, ++lastOwner, env);
    const effects = new OnceEffects({ home: () => fabric.home, openScope });
    const fabric: Fabric = new Fabric({
      ...{ env, shipper, dial, hold, keep },
      client: undefined,
      address: "the worker's own fabric",
      version: protocolVersion(build, nodeMajor),
      description: `simulated worker ${pid}`,
      unavailableTimeoutMs: 60_000,
      print: () => undefined,
      objects: { openScope, attempt, effects: effects.own, leases: endlessLeases, transport, lend: hold },
    });
    made(pid, fabric);
    return {
      revive: (description) => fabric.home.revive(description),
      flush: () => fabric.flushObjects(),
      effects,
    };
  };
}
