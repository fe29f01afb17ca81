import { apiVersionOf, type Resource, resources } from "./stored-objects.ts";

/** What there is, for clients that ask before they do anything; undefined for other paths. */
export function discovery(path: string): object | undefined {
  if (path === "/version") return { major: "1", minor: "35", gitVersion: "v1.35.0", platform: "linux/amd64" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: groups() };
  if (path === "/openapi/v3") {
    const documents = apiVersions.map((version) => [
      rootOf(version),
      { serverRelativeURL: `/openapi/v3/${rootOf(version)}` },
    ]);
    return { paths: Object.fromEntries(documents) };
  }
  for (const apiVersion of apiVersions) {
    const served = resources.filter((resource) => apiVersionOf(resource) === apiVersion);
    if (path === `/${rootOf(apiVersion)}`)
      return { kind: "APIResourceList", apiVersion: "v1", groupVersion: apiVersion, resources: served.map(described) };
    if (path === `/openapi/v3/${rootOf(apiVersion)}`) return openApi(served);
  }
  return undefined;
}

const apiVersions = [...new Set(resources.map(apiVersionOf))];

function rootOf(apiVersion: string): string {
  return `${apiVersion.includes("/") ? "apis" : "api"}/${apiVersion}`;
}

function groups(): readonly object[] {
  return apiVersions
    .filter((version) => version.includes("/"))
    .map((groupVersion) => {
      const [name, version] = groupVersion.split("/");
      return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
    });
}

function described({ plural, kind, isNamespaced }: Resource): object {
  const verbs = ["create", "delete", "get", "list", "patch", "update", "watch"];
  return { name: plural, singularName: kind.toLowerCase(), kind, namespaced: isNamespaced, verbs };
}

/** Says no more than that fields are looked at by the server: clients then send what they have. */
function openApi(served: readonly Resource[]): object {
  const parameters = [{ name: "fieldValidation", in: "query" }];
  const paths = served.map(({ group, version, kind, plural }) => [
    `/${plural}/{name}`,
    { patch: { parameters, "x-kubernetes-group-version-kind": { group, version, kind } } },
  ]);
  return { openapi: "3.0.0", info: { title: "stand-in", version: "1" }, paths: Object.fromEntries(paths) };
}
