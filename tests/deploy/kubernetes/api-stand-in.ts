import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { discovery } from "./discovery.ts";
import { isDeleteOptions, isProtobuf, secretOf } from "./helm-records.ts";
import {
  apiVersionOf,
  type Change,
  Refusal,
  type Resource,
  resources,
  type StoredObject,
  StoredObjects,
} from "./stored-objects.ts";
import type { KubernetesObject } from "./tools.ts";

/** What a request is about. */
interface Subject {
  readonly resource: Resource;
  /** "" where it is about all of them, or about what is in none. */
  readonly namespace: string;
  /** "" where it is about all of them. */
  readonly name: string;
  /** Such as scale. */
  readonly part: string;
}

/**
 * Stands in for the API server of a cluster, at loopback: as much of it as Helm and kubectl need to install, change and remove what the chart makes. Objects
 * are kept as `StoredObjects` says; nobody is asked who they are, and nothing is checked against a schema.
 */
export class ApiStandIn implements AsyncDisposable {
  readonly objects = new StoredObjects();
  /** By which clients find it. */
  readonly kubeconfig: string;
  readonly #server: Server;
  readonly #directory: string;

  private constructor(server: Server, directory: string) {
    this.#server = server;
    this.#directory = directory;
    this.kubeconfig = join(directory, "kubeconfig.json");
    server.on("request", (request, response) => {
      this.#answer(request, response).catch((error: unknown) => refuse(response, error));
    });
  }

  static async open(namespaces: readonly string[] = ["default", "work"]): Promise<ApiStandIn> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const standIn = new ApiStandIn(server, await mkdtemp(join(tmpdir(), "heddle-cluster-")));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "c",
      clusters: [{ name: "c", cluster: { server: url } }],
      users: [{ name: "c", user: {} }],
      contexts: [{ name: "c", context: { cluster: "c", user: "c" } }],
    };
    await writeFile(standIn.kubeconfig, JSON.stringify(config), { mode: 0o600 });
    for (const name of namespaces)
      standIn.objects.save(resourceOf("v1", "namespaces"), "", {
        apiVersion: "v1",
        kind: "Namespace",
        metadata: { name },
      });
    return standIn;
  }

  /** Objects of a kind in a namespace, by name. */
  all(apiVersion: string, plural: string, namespace = "work"): ReadonlyMap<string, StoredObject> {
    const found = this.objects.list(resourceOf(apiVersion, plural), namespace);
    return new Map(found.map((object) => [object.metadata.name, object]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://stand-in");
    const body = await buffer(request);
    const found = discovery(url.pathname);
    if (found !== undefined) return send(response, 200, found);
    const subject = subjectOf(url.pathname);
    if (request.method === "GET" && url.searchParams.has("watch")) return this.#watch(subject, url, response);
    switch (request.method) {
      case "GET":
        return send(response, 200, subject.name === "" ? this.#list(subject, url) : this.#one(subject));
      case "POST":
        return send(response, 201, this.#create(subject, parsed(body)));
      case "PUT":
        return send(response, 200, this.#replace(subject, parsed(body)));
      case "PATCH":
        return send(response, 200, this.#patch(subject, parsed(body), request.headers["content-type"] ?? ""));
      case "DELETE":
        return send(response, 200, this.#delete(subject));
      default:
        throw new Refusal(405, "MethodNotAllowed", `${request.method} is not served`);
    }
  }

  #one({ resource, namespace, name, part }: Subject): object {
    const object = this.objects.find(resource, namespace, name);
    if (object === undefined) throw new Refusal(404, "NotFound", `${resource.plural} "${name}" not found`);
    return part === "scale" ? scaleOf(object) : object;
  }

  #list({ resource, namespace }: Subject, url: URL): object {
    const items = this.objects.list(resource, namespace).filter(selected(url));
    const metadata = { resourceVersion: this.objects.revision };
    return { kind: `${resource.kind}List`, apiVersion: apiVersionOf(resource), metadata, items };
  }

  #create({ resource, namespace }: Subject, object: KubernetesObject): object {
    const { name } = object.metadata;
    if (resource.isNamespaced && this.objects.find(resourceOf("v1", "namespaces"), "", namespace) === undefined)
      throw new Refusal(404, "NotFound", `namespaces "${namespace}" not found`);
    if (this.objects.find(resource, namespace, name) !== undefined)
      throw new Refusal(409, "AlreadyExists", `${resource.plural} "${name}" already exists`);
    return this.objects.save(resource, namespace, object);
  }

  #replace(subject: Subject, object: KubernetesObject): object {
    this.#one(subject);
    return this.objects.save(subject.resource, subject.namespace, object);
  }

  /** Who applies says all that it wants: what it left out goes, but for the number of replicas, which others may have set. */
  #patch(subject: Subject, given: KubernetesObject, type: string): object {
    const { resource, namespace, name, part } = subject;
    const old = this.objects.find(resource, namespace, name);
    if (type.includes("apply-patch")) return this.objects.save(resource, namespace, withReplicas(given, old));
    this.#one(subject);
    if (part !== "scale") return this.objects.save(resource, namespace, merged(old, given) as KubernetesObject);
    const scaled = merged(old, { spec: { replicas: (given.spec as { readonly replicas: number }).replicas } });
    return scaleOf(this.objects.save(resource, namespace, scaled as KubernetesObject));
  }

  #delete(subject: Subject): object {
    const { resource, namespace, name } = subject;
    const object = this.objects.find(resource, namespace, name);
    if (object === undefined) throw new Refusal(404, "NotFound", `${resource.plural} "${name}" not found`);
    this.objects.delete(resource, object);
    return { kind: "Status", apiVersion: "v1", status: "Success", details: { name, uid: object.metadata.uid } };
  }

  #watch({ resource, namespace }: Subject, url: URL, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "application/json" });
    const isSelected = selected(url);
    const tell = (type: string, object: unknown): void => void response.write(`${JSON.stringify({ type, object })}\n`);
    const isFirst = ["", "0"].includes(url.searchParams.get("resourceVersion") ?? "");
    if (isFirst || url.searchParams.has("sendInitialEvents"))
      for (const object of this.objects.list(resource, namespace).filter(isSelected)) tell("ADDED", object);
    if (url.searchParams.has("sendInitialEvents")) {
      const annotations = { "k8s.io/initial-events-end": "true" };
      const metadata = { resourceVersion: this.objects.revision, annotations };
      tell("BOOKMARK", { kind: resource.kind, apiVersion: apiVersionOf(resource), metadata });
    }
    response.flushHeaders();
    const watcher = ({ type, resource: of, object }: Change): void => {
      const isHere = of === resource && (namespace === "" || object.metadata.namespace === namespace);
      if (isHere && isSelected(object)) tell(type, object);
    };
    this.objects.watchers.add(watcher);
    response.once("close", () => this.objects.watchers.delete(watcher));
  }
}

function resourceOf(apiVersion: string, plural: string): Resource {
  const found = resources.find((resource) => apiVersionOf(resource) === apiVersion && resource.plural === plural);
  if (found === undefined) throw new Refusal(404, "NotFound", `there is no ${plural} of ${apiVersion}`);
  return found;
}

/** /api/v1/..., /apis/GROUP/VERSION/...: then [namespaces/NAMESPACE/]PLURAL[/NAME[/PART]]. */
function subjectOf(path: string): Subject {
  const [root, ...parts] = path.split("/").filter((part) => part !== "");
  const apiVersion = root === "api" ? (parts[0] ?? "") : parts.slice(0, 2).join("/");
  const rest = parts.slice(root === "api" ? 1 : 2);
  const isInside = rest[0] === "namespaces" && rest.length > 2;
  const [plural = "", name = "", part = ""] = isInside ? rest.slice(2) : rest;
  return { resource: resourceOf(apiVersion, plural), namespace: isInside ? (rest[1] ?? "") : "", name, part };
}

function parsed(body: Buffer): KubernetesObject {
  if (isDeleteOptions(body)) return { apiVersion: "v1", kind: "DeleteOptions", metadata: { name: "" } };
  return isProtobuf(body) ? secretOf(body) : (JSON.parse(body.toString()) as KubernetesObject);
}

/** Selectors by labels, "a=b", "a in (b,c)" and such alone, and by the name. */
function selected(url: URL): (object: StoredObject) => boolean {
  const labels = (url.searchParams.get("labelSelector") ?? "").split(/,(?![^(]*\))/).filter((part) => part !== "");
  const wanted = labels.map((part) => {
    const [, key = "", values = ""] = /^\s*([^\s=!]+)\s*(?:=|==|in\s*\()\s*([^)]*)\)?\s*$/.exec(part) ?? [];
    if (key === "") throw new Refusal(400, "BadRequest", `a selector that is not served: ${part}`);
    return { key, values: values.split(",").map((value) => value.trim()) };
  });
  const name = /metadata\.name=([^,]+)/.exec(url.searchParams.get("fieldSelector") ?? "")?.[1];
  return ({ metadata }) =>
    (name === undefined || metadata.name === name) &&
    wanted.every(({ key, values }) => values.includes(metadata.labels?.[key] ?? ""));
}

function withReplicas(given: KubernetesObject, old: StoredObject | undefined): KubernetesObject {
  const replicas = old?.spec?.replicas;
  const spec = given.spec as Readonly<Record<string, unknown>> | undefined;
  return replicas === undefined || spec === undefined ? given : { ...given, spec: { replicas, ...spec } };
}

/** A merge patch: null removes, objects are merged, all else is replaced. */
function merged(old: unknown, given: unknown): unknown {
  if (!isObject(given)) return given;
  const result: Record<string, unknown> = isObject(old) ? { ...old } : {};
  for (const [key, value] of Object.entries(given)) {
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  }
  return result;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function scaleOf({ metadata, spec }: StoredObject): object {
  const replicas = spec?.replicas ?? 1;
  return { kind: "Scale", apiVersion: "autoscaling/v1", metadata, spec: { replicas }, status: { replicas } };
}

function send(response: ServerResponse, code: number, answer: object): void {
  response.writeHead(code, { "content-type": "application/json" });
  response.end(JSON.stringify(answer));
}

function refuse(response: ServerResponse, error: unknown): void {
  const { code, reason } = error instanceof Refusal ? error : { code: 500, reason: "InternalError" };
  const message = error instanceof Error ? error.message : String(error);
  if (response.headersSent) response.destroy();
  else send(response, code, { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message });
}
