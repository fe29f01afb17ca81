import { createProcessSpawner } from "@heddle/adapter-processes";
import {
  availableSlots,
  compileCacheDirectory,
  fileBlobs,
  hostFacts,
  temporaryDirectory,
} from "@heddle/adapter-system";
import type { PoolSettings } from "@heddle/client";
import type { Environment } from "@heddle/kernel";
import { forgetfulJournal } from "@heddle/port-journal";
import { endlessLeases, MemoryNetwork, type RpcClient } from "@heddle/port-rpc";
import { AgentShell } from "@heddle/shell-agent";
import { CoordinatorShell, memoryJobStore } from "@heddle/shell-coordinator";
import { ManagerShell } from "@heddle/shell-manager";
import { BUILD } from "./build.ts";
import { workerEntry } from "./worker-entry.ts";

const ADDRESS = "embedded";
const MANAGER_ADDRESS = "embedded-manager";
/** Code that the embedded fabric keeps in its temporary directory. */
const BLOBS_BYTES_MAX = 512 * 1024 * 1024;
/** Bytes of kept jobs, which the embedded fabric has in memory. */
const KEPT_BYTES_MAX = 1024 * 1024 * 1024;

/** A fabric inside this process: coordinator, manager and agents over an in-memory Rpc, with real worker processes. Opens no port, lasts as long as the process. */
export class EmbeddedFabric implements AsyncDisposable {
  readonly address = ADDRESS;
  readonly client: RpcClient;
  readonly #env: Environment;
  readonly #scope = new AsyncDisposableStack();
  readonly #network: MemoryNetwork;
  readonly #directory: string;
  readonly #agents: AgentShell[] = [];
  #slots = 0;

  constructor(env: Environment) {
    this.#env = env;
    this.#directory = this.#scope.use(temporaryDirectory("heddle-")).path;
    this.#network = this.#scope.use(new MemoryNetwork(env));
    this.client = this.#network;
    const blobs = this.#scope.use(fileBlobs(this.#directory, { maxBytes: BLOBS_BYTES_MAX }));
    const { pid, nodeMajor } = hostFacts();
    const manager = new ManagerShell({
      ...{ env, build: BUILD, nodeMajor, pid },
      journal: this.#scope.use(forgetfulJournal()),
      keptBy: "streams",
    });
    this.#scope.defer(() => manager.stop(0));
    const coordinator = new CoordinatorShell({
      ...{ env, blobs, build: BUILD, nodeMajor, pid },
      jobs: this.#scope.use(memoryJobStore()),
      keptBytesMax: KEPT_BYTES_MAX,
      manager: { address: MANAGER_ADDRESS, client: this.#network },
    });
    this.#scope.defer(() => coordinator.stop(0));
    const serving = [
      manager.start(),
      coordinator.start(),
      this.#network.listen(MANAGER_ADDRESS, manager.routes),
      this.#network.listen(ADDRESS, coordinator.routes),
    ];
    Promise.all(serving).catch((cause: unknown) => {
      env.log.error("the embedded fabric cannot serve", { cause: String(cause) });
    });
  }

  /** Slots for a pool: a core each, or as many as were asked for. */
  prepare(settings: PoolSettings): void {
    const wanted = Math.max(availableSlots(), settings.processes ?? 0);
    if (wanted > this.#slots) this.#addAgent(wanted - this.#slots);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#agents.map((agent) => agent.drain(0)));
    await this.#scope.disposeAsync();
  }

  #addAgent(slots: number): void {
    this.#slots += slots;
    const env = this.#env;
    const blobs = this.#scope.use(fileBlobs(this.#directory, { maxBytes: BLOBS_BYTES_MAX }));
    const spawner = this.#scope.use(
      createProcessSpawner({ workerEntry, log: env.log, compileCacheDir: compileCacheDirectory() }),
    );
    const name = this.#agents.length === 0 ? "local" : `local-${this.#agents.length + 1}`;
    const { pid, host, nodeMajor } = hostFacts();
    const addresses = [ADDRESS];
    this.#agents.push(
      new AgentShell({
        env,
        client: this.#network,
        addresses,
        spawner,
        blobs,
        name,
        slots,
        host,
        pid,
        build: BUILD,
        nodeMajor,
        managerLeases: endlessLeases,
      }),
    );
  }
}
