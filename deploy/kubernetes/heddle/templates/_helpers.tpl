{{- define "heddle.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Release.Name -}}
{{- if .Values.fullnameOverride -}}{{- $full = .Values.fullnameOverride -}}
{{- else if not (contains $name .Release.Name) -}}{{- $full = printf "%s-%s" .Release.Name $name -}}{{- end -}}
{{- $full | trunc 30 | trimSuffix "-" -}}
{{- end }}

{{/* What tells the pods of a component apart: may never change, for a StatefulSet and a Deployment keep it for life. */}}
{{- define "heddle.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
heddle-pool: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of an object; pods and claims have the selector alone, or each new chart would replace them. */}}
{{- define "heddle.labels" -}}
{{ include "heddle.selector" . }}
app.kubernetes.io/part-of: heddle
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "heddle.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else -}}{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}{{- end -}}
{{- end }}

{{/* By which others dial it: the names for which its certificate must be. */}}
{{- define "heddle.coordinatorHost" -}}{{ include "heddle.fullname" . }}-coordinator.{{ .Release.Namespace }}.svc{{- end }}
{{- define "heddle.managerHost" -}}{{ include "heddle.fullname" . }}-manager.{{ .Release.Namespace }}.svc{{- end }}

{{/* The Secret with the identity of a role. */}}
{{- define "heddle.tlsSecret" -}}
{{- $prefix := default (include "heddle.fullname" .root) .root.Values.tls.secretPrefix -}}
{{- default (printf "%s-%s" $prefix .role) .given -}}
{{- end }}

{{- define "heddle.podSecurity" -}}
runAsNonRoot: true
{{- range $name, $id := .Values.securityContext }}
{{- if $id }}
{{ $name }}: {{ int64 $id }}
{{- end }}
{{- end }}
# Once a volume is ours its modes are left alone: directories that others can enter are not used.
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "heddle.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* What a pod is before its containers. */}}
{{- define "heddle.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- include "heddle.podSecurity" .root | nindent 2 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/*
Plain HTTP, which a probe can ask whatever the fabric speaks. It is there once the database on the volume is opened, which checks it as a whole: of a large one on a
slow volume that takes minutes. While it is read then the server is alive, and not ready.
*/}}
{{- define "heddle.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 1
  failureThreshold: 600
livenessProbe:
  httpGet: { path: /healthz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end }}

{{- define "heddle.metadata" -}}
labels:
  {{- include "heddle.selector" . | nindent 2 }}
  {{- with .of.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .of.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The claim of a StatefulSet, or nothing: then an emptyDir stands in its place. */}}
{{- define "heddle.claims" -}}
{{- with .of.persistence }}
{{- if .enabled }}
persistentVolumeClaimRetentionPolicy: { whenDeleted: Retain, whenScaled: Retain }
volumeClaimTemplates:
  - metadata:
      name: data
      labels:
        {{- include "heddle.selector" $ | nindent 8 }}
    spec:
      accessModes:
        {{- toYaml .accessModes | nindent 8 }}
      {{- if not (kindIs "invalid" .storageClassName) }}
      storageClassName: {{ .storageClassName | quote }}
      {{- end }}
      resources:
        requests:
          storage: {{ .size }}
{{- end }}
{{- end }}
{{- end }}

{{/* Cores of a quantity such as 4, "1.5" or 500m, part of one counting as one, as the downward API has it. */}}
{{- define "heddle.cores" -}}
{{- $given := toString . -}}
{{- if hasSuffix "m" $given -}}{{ divf (trimSuffix "m" $given | float64) 1000 | ceil | int }}
{{- else -}}{{ float64 $given | ceil | int }}{{- end -}}
{{- end }}
