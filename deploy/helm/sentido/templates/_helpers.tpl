{{- define "sentido.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "sentido.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* "+", before the build in a version, may be neither in a label nor in an image's tag. */}}
{{- define "sentido.labels" -}}
{{ include "sentido.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image by its digest, where it has one, else by its tag. */}}
{{- define "sentido.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end }}

{{- define "sentido.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The health of the pod. Kubernetes' gRPC probe has no TLS, so with TLS there is a port for it. */}}
{{- define "sentido.probe" -}}
grpc: {port: {{ ternary 50052 50051 (ne .Values.tls.secretName "") }}}
{{- end }}
