import { connect, type Fabric } from "heddle";
import { RealCluster } from "./real-cluster.ts";

/** Coordinator and agent inside this process, real workers. */
export class EmbeddedCluster extends RealCluster {
  readonly kind = "embedded";
  readonly isDistributed = false;
  readonly nodes = ["local"];
  readonly slots = 2;
  #fabric: Promise<Fabric> | undefined;

  fabric(): Promise<Fabric> {
    this.#fabric ??= this.#connect();
    return this.#fabric;
  }

  killAgent(): never {
    throw new Error("an embedded agent lives and dies with its script");
  }
  startAgent(): never {
    return this.killAgent();
  }
  pauseAgent(): never {
    return this.killAgent();
  }
  resumeAgent(): never {
    return this.killAgent();
  }
  drainAgent(): never {
    return this.killAgent();
  }
  vanishClient(): never {
    return this.killAgent();
  }
  stopCoordinator(): never {
    return this.killAgent();
  }

  protected agentPids(): readonly number[] {
    return [process.pid];
  }

  async #connect(): Promise<Fabric> {
    const fabric = this.scope.use(await connect());
    return fabric;
  }
}
