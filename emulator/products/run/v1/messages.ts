/** The messages of v1, Knative's: a service as clients send it. */
import { z } from 'zod'
import { bool, int, labels, message, outputOnly, strings, text } from '../../../rest/messages.ts'
import { container, httpGet, port, probe, volumeMount } from '../containers.ts'

const objectMeta = message({
  name: text,
  namespace: text,
  generateName: text,
  selfLink: text,
  uid: text,
  resourceVersion: text,
  generation: int,
  creationTimestamp: text,
  deletionTimestamp: text,
  deletionGracePeriodSeconds: int,
  clusterName: text,
  labels,
  annotations: labels,
  ownerReferences: z.array(outputOnly),
  finalizers: strings,
})

const knativeProbe = message({
  ...probe,
  httpGet: message({ ...httpGet, host: text, scheme: text }),
  tcpSocket: message({ port: int, host: text }),
  exec: message({ command: strings }),
})
const keySelector = message({
  key: text,
  name: text,
  optional: bool,
  localObjectReference: message({ name: text }),
})
const keysToPaths = z.array(message({ key: text, path: text, mode: int }))

const knativeContainer = message({
  ...container,
  env: z.array(
    message({
      name: text,
      value: text,
      valueFrom: message({ secretKeyRef: keySelector, configMapKeyRef: keySelector }),
    }),
  ),
  envFrom: z.array(outputOnly),
  ports: z.array(message({ ...port, protocol: text })),
  resources: message({ limits: labels, requests: labels }),
  livenessProbe: knativeProbe,
  readinessProbe: knativeProbe,
  startupProbe: knativeProbe,
  volumeMounts: z.array(message({ ...volumeMount, readOnly: bool })),
  imagePullPolicy: text,
  securityContext: message({ runAsUser: int }),
  terminationMessagePath: text,
  terminationMessagePolicy: text,
  sandboxLauncher: bool,
})

const volume = message({
  name: text,
  emptyDir: message({ medium: text, sizeLimit: text }),
  secret: message({ secretName: text, items: keysToPaths, defaultMode: int, optional: bool }),
  configMap: message({ name: text, items: keysToPaths, defaultMode: int, optional: bool }),
  csi: message({ driver: text, readOnly: bool, volumeAttributes: labels }),
  nfs: message({ server: text, path: text, readOnly: bool }),
})

const revisionSpec = message({
  containers: z.array(knativeContainer),
  containerConcurrency: int,
  timeoutSeconds: int,
  serviceAccountName: text,
  volumes: z.array(volume),
  nodeSelector: labels,
  runtimeClassName: text,
  enableServiceLinks: bool,
  imagePullSecrets: z.array(message({ name: text })),
})

const trafficTarget = message({
  configurationName: text,
  revisionName: text,
  latestRevision: bool,
  percent: int,
  tag: text,
  url: text,
})

const template = message({ metadata: objectMeta, spec: revisionSpec })

export const knativeService = message({
  apiVersion: text,
  kind: text,
  metadata: objectMeta,
  spec: message({ template, traffic: z.array(trafficTarget) }),
  status: outputOnly,
})

export type KnativeService = z.output<typeof knativeService>
export type KnativeTemplate = z.output<typeof template>
export type KnativeSpec = z.output<typeof revisionSpec>
export type KnativeContainer = z.output<typeof knativeContainer>
export type KnativeVolume = z.output<typeof volume>
