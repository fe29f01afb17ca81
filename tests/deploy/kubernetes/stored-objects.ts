import { createHash } from "node:crypto";
import type { KubernetesObject } from "./tools.ts";

/** A kind that the stand-in serves. */
export interface Resource {
  /** Of the API: "" is the core's. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

const resource = (group: string, version: string, kind: string, plural = `${kind.toLowerCase()}s`): Resource => ({
  group,
  version,
  kind,
  plural,
  isNamespaced: kind !== "Namespace",
});

/** What the chart makes, what Helm keeps, and what belongs to a Deployment. */
export const resources: readonly Resource[] = [
  ...["Namespace", "Pod", "Service", "ConfigMap", "Secret", "ServiceAccount", "Event"].map((kind) =>
    resource("", "v1", kind),
  ),
  ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"].map((kind) => resource("apps", "v1", kind)),
  resource("policy", "v1", "PodDisruptionBudget"),
  resource("autoscaling", "v2", "HorizontalPodAutoscaler"),
  resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"),
  resource("monitoring.coreos.com", "v1", "ServiceMonitor"),
  resource("monitoring.coreos.com", "v1", "PodMonitor"),
];

export const apiVersionOf = ({ group, version }: Resource): string => (group === "" ? version : `${group}/${version}`);

type Json = Readonly<Record<string, unknown>>;

/** An object as the API gives it out. */
export interface StoredObject extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly namespace?: string;
    readonly uid: string;
    readonly generation: number;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
  readonly spec?: Json;
  readonly status?: Json;
}

/** A change of an object. */
export interface Change {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly resource: Resource;
  readonly object: StoredObject;
}

/** The API refuses a request: the status code and the reason that clients know it by. */
export class Refusal extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** Fields of a spec that an update may change, of kinds where the others are for life; of other kinds all may. */
const changeable: ReadonlyMap<string, readonly string[]> = new Map([
  [
    "StatefulSet",
    [
      "replicas",
      "template",
      "updateStrategy",
      "minReadySeconds",
      "ordinals",
      "revisionHistoryLimit",
      "persistentVolumeClaimRetentionPolicy",
    ],
  ],
]);
const forLife: ReadonlyMap<string, readonly string[]> = new Map([
  ["Deployment", ["selector"]],
  ["DaemonSet", ["selector"]],
]);

/** The objects of a cluster, in memory. Who runs pods is missing: workloads are ready at once, unless their image is one of `sickImages`. */
export class StoredObjects {
  /** Pods with them never become ready. */
  readonly sickImages = new Set<string>();
  /** Told of each change, in order. */
  readonly watchers = new Set<(change: Change) => void>();
  readonly #objects = new Map<string, { readonly resource: Resource; readonly object: StoredObject }>();
  #revision = 1;

  get revision(): string {
    return String(this.#revision);
  }

  find(of: Resource, namespace: string, name: string): StoredObject | undefined {
    return this.#objects.get(keyOf(of, namespace, name))?.object;
  }

  /** Of all namespaces for "". */
  list(of: Resource, namespace: string): readonly StoredObject[] {
    return [...this.#objects.values()]
      .filter(({ resource }) => resource === of)
      .map(({ object }) => object)
      .filter(({ metadata }) => namespace === "" || metadata.namespace === namespace);
  }

  /** Keeps an object in place of the one of its name. Throws Refusal when it changes what is for life. */
  save(of: Resource, namespace: string, given: KubernetesObject): StoredObject {
    const old = this.find(of, namespace, given.metadata.name);
    if (old !== undefined) checkForLife(of, old, given);
    const isNewSpec = JSON.stringify(old?.spec) !== JSON.stringify(given.spec);
    const metadata: StoredObject["metadata"] = {
      ...given.metadata,
      ...(of.isNamespaced ? { namespace } : {}),
      uid:
        old?.metadata.uid ??
        createHash("sha1")
          .update(`${keyOf(of, namespace, given.metadata.name)}${this.#revision}`)
          .digest("hex"),
      generation: (old?.metadata.generation ?? 0) + (old === undefined || isNewSpec ? 1 : 0),
      creationTimestamp: old?.metadata.creationTimestamp ?? "2026-01-01T00:00:00Z",
      resourceVersion: String(++this.#revision),
    };
    const object = { ...given, apiVersion: apiVersionOf(of), kind: of.kind, metadata } as StoredObject;
    const status = this.#statusOf(object);
    const saved = status === undefined ? object : { ...object, status };
    this.#objects.set(keyOf(of, namespace, metadata.name), { resource: of, object: saved });
    this.#tell({ type: old === undefined ? "ADDED" : "MODIFIED", resource: of, object: saved });
    return saved;
  }

  delete(of: Resource, object: StoredObject): void {
    this.#objects.delete(keyOf(of, object.metadata.namespace ?? "", object.metadata.name));
    this.#revision++;
    this.#tell({ type: "DELETED", resource: of, object });
  }

  #tell(change: Change): void {
    for (const watcher of this.watchers) watcher(change);
  }

  #statusOf({ kind, metadata, spec }: StoredObject): Json | undefined {
    const observedGeneration = metadata.generation;
    const replicas = typeof spec?.replicas === "number" ? spec.replicas : 1;
    const isSick = [...this.sickImages].some((image) => JSON.stringify(spec ?? {}).includes(JSON.stringify(image)));
    const ready = isSick ? 0 : replicas;
    const counts = {
      observedGeneration,
      replicas,
      updatedReplicas: replicas,
      readyReplicas: ready,
      availableReplicas: ready,
    };
    switch (kind) {
      case "Deployment":
        return { ...counts, conditions: [condition("Available", !isSick), condition("Progressing", true)] };
      case "StatefulSet":
        return { ...counts, currentReplicas: replicas, currentRevision: "r", updateRevision: "r" };
      case "DaemonSet": {
        const machines = { desiredNumberScheduled: 1, currentNumberScheduled: 1, updatedNumberScheduled: 1 };
        return { observedGeneration, ...machines, numberReady: isSick ? 0 : 1, numberAvailable: isSick ? 0 : 1 };
      }
      case "Pod":
        return { phase: isSick ? "Failed" : "Succeeded", conditions: [condition("Ready", false, "PodCompleted")] };
      case "Namespace":
        return { phase: "Active" };
      case "PodDisruptionBudget":
        return { observedGeneration, currentHealthy: 1, desiredHealthy: 0, disruptionsAllowed: 1, expectedPods: 1 };
      case "HorizontalPodAutoscaler":
        return {
          currentReplicas: 1,
          desiredReplicas: 1,
          conditions: [condition("AbleToScale", true), condition("ScalingActive", true)],
        };
      default:
        return undefined;
    }
  }
}

function condition(type: string, holds: boolean, reason = holds ? "NewReplicaSetAvailable" : "Unavailable"): Json {
  return { type, status: holds ? "True" : "False", reason, lastTransitionTime: "2026-01-01T00:00:00Z" };
}

function keyOf(of: Resource, namespace: string, name: string): string {
  return `${of.group}/${of.plural}/${of.isNamespaced ? namespace : ""}/${name}`;
}

function checkForLife({ kind }: Resource, old: StoredObject, given: KubernetesObject): void {
  const [before, after] = [old.spec ?? {}, (given.spec ?? {}) as Json];
  const free = changeable.get(kind);
  const bound =
    free === undefined
      ? forLife.get(kind)
      : Object.keys({ ...before, ...after }).filter((field) => !free.includes(field));
  const changed = (bound ?? []).filter((field) => JSON.stringify(before[field]) !== JSON.stringify(after[field]));
  if (changed.length > 0)
    throw new Refusal(422, "Invalid", `${kind} ${old.metadata.name}: spec.${changed.join(", spec.")} may not change`);
}
