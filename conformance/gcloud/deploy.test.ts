/** `gcloud run deploy`: every flag of the tutorial and those that a deployment of it grows, and what is refused. */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import {
  cleanUp,
  emulator,
  gcloudAvailable,
  gcloudTest,
  PATIENCE,
  REVISION,
  Shell,
} from './gcloud.fixture.ts'

afterAll(cleanUp, PATIENCE)

let shell: Shell
beforeAll(async () => {
  if (!gcloudAvailable) return
  const google = await emulator({ image: { revision: REVISION } })
  shell = await (await Shell.open(google.url, 'intercept')).begin()
}, PATIENCE)

const IMAGE = 'gcr.io/demo-project/receiving-service'
const describeService = (name: string) => shell.json(`gcloud run services describe ${name}`)

describe('flags', () => {
  gcloudTest('--set-env-vars, --update-env-vars, --service-account, --port and --ingress', async () => {
    await shell.ok('gcloud iam service-accounts create another-account')
    await shell.ok(
      `gcloud run deploy flagged --image ${IMAGE} --no-allow-unauthenticated --set-env-vars A=1,B=2 --port 9000 --ingress internal --service-account another-account@demo-project.iam.gserviceaccount.com`,
    )
    const first = await describeService('flagged')
    const { containers, serviceAccountName } = first.spec.template.spec
    expect(containers[0].env).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ])
    expect(containers[0].ports[0].containerPort).toBe(9000)
    expect(serviceAccountName).toBe('another-account@demo-project.iam.gserviceaccount.com')
    expect(first.metadata.annotations['run.googleapis.com/ingress']).toBe('internal')

    await shell.ok(`gcloud run deploy flagged --image ${IMAGE} --update-env-vars B=3,C=4`)
    const second = await describeService('flagged')
    expect(second.spec.template.spec.containers[0].env).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '3' },
      { name: 'C', value: '4' },
    ])
    expect(second.spec.template.spec.serviceAccountName).toBe(serviceAccountName)
  })

  gcloudTest(
    '--add-volume, --session-affinity, --no-cpu-throttling and their kind: what has no effect is said',
    async () => {
      await shell.ok(
        `gcloud run deploy settled --image ${IMAGE} --no-allow-unauthenticated --add-volume name=v,type=in-memory,size-limit=1Mi --add-volume-mount volume=v,mount-path=/v --session-affinity --no-cpu-throttling --cpu-boost --execution-environment gen2 --min-instances 1 --max-instances 2 --cpu 2 --memory 1Gi --concurrency 10 --timeout 60 --labels team=a`,
      )
      const { metadata, spec, status } = await describeService('settled')
      expect(metadata.labels.team).toBe('a')
      expect(spec.template.metadata.annotations).toMatchObject({
        'run.googleapis.com/sessionAffinity': 'true',
        'run.googleapis.com/cpu-throttling': 'false',
        'run.googleapis.com/startup-cpu-boost': 'true',
        'run.googleapis.com/execution-environment': 'gen2',
      })
      expect(spec.template.spec).toMatchObject({
        containerConcurrency: 10,
        timeoutSeconds: 60,
        volumes: [{ name: 'v', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }],
      })
      const said = status.conditions.find(({ type }: { type: string }) => type === 'NotEmulated')
      expect(said.message).toContain("volume 'v' (an empty folder), which is not mounted")
    },
  )

  gcloudTest('--no-invoker-iam-check opens a service without a binding', async () => {
    await shell.ok(`gcloud run deploy unchecked --image ${IMAGE} --no-allow-unauthenticated`)
    const { url } = (await describeService('unchecked')).status
    const status = () => shell.ok(`curl -s -o page -w '%{http_code}' ${url}`)
    expect(await status()).toBe('403')
    await shell.ok(`gcloud run deploy unchecked --image ${IMAGE} --no-invoker-iam-check`)
    expect(await status()).toBe('200')
    expect((await shell.json('gcloud run services get-iam-policy unchecked')).bindings).toBeUndefined()
    await shell.ok(`gcloud run deploy unchecked --image ${IMAGE} --invoker-iam-check`)
    expect(await status()).toBe('403')
  })

  gcloudTest('--add-custom-audiences is an audience that the ingress takes', async () => {
    await shell.ok('gcloud iam service-accounts create audience-tester')
    const account = 'audience-tester@demo-project.iam.gserviceaccount.com'
    await shell.ok(`gcloud run deploy audiences --image ${IMAGE} --no-allow-unauthenticated`)
    await Promise.all([
      shell.ok(
        `gcloud iam service-accounts add-iam-policy-binding ${account} --member=user:developer@example.com --role=roles/iam.serviceAccountTokenCreator`,
      ),
      shell.ok(
        `gcloud run services add-iam-policy-binding audiences --member=serviceAccount:${account} --role=roles/run.invoker`,
      ),
    ])
    const { url } = (await describeService('audiences')).status
    const token = await shell.ok(
      `gcloud auth print-identity-token --audiences=https://custom.example --impersonate-service-account=${account}`,
    )
    const status = () =>
      shell.ok(`curl -s -o page -w '%{http_code}' -H 'Authorization: Bearer ${token}' ${url}`)
    expect(await status()).toBe('401')
    await shell.ok(
      `gcloud run deploy audiences --image ${IMAGE} --add-custom-audiences=https://custom.example`,
    )
    expect(await status()).toBe('200')
  })

  gcloudTest('--no-traffic and --tag: a revision that is reached by its tag only', async () => {
    const image = 'gcr.io/demo-project/revision'
    await shell.ok(`gcloud run deploy tagged --image ${image} --allow-unauthenticated`)
    const { latestReadyRevisionName: first, url } = (await describeService('tagged')).status
    const { stderr } = await shell.run(
      `gcloud run deploy tagged --image ${image} --no-traffic --tag candidate`,
    )
    const address = /can be reached directly at .*?(https?:\/\/[\w.-]+)/.exec(stderr)?.[1]
    expect(address).toContain('://candidate---tagged-')
    const { status } = await describeService('tagged')
    expect(status.traffic).toContainEqual({ percent: 100, revisionName: first })
    expect(status.latestReadyRevisionName).not.toBe(first)
    expect(await shell.ok(`curl -s ${url}`)).toBe(first)
    expect(await shell.ok(`curl -s ${address}`)).toBe(status.latestReadyRevisionName)
  })
})

describe("what cannot be deployed fails with Google's sentence", () => {
  const deploy = (name: string, image: string, flags = '') =>
    shell.fails(`gcloud run deploy ${name} --image ${image} --no-allow-unauthenticated ${flags}`)

  gcloudTest(
    'facts 6.9: an image that is not there, one of another host, and an account that does not exist',
    async () => {
      const [missing, foreign, account] = await Promise.all([
        deploy('missing', 'gcr.io/demo-project/nothing'),
        deploy('foreign', 'registry.example/a/b'),
        deploy('account', IMAGE, '--service-account nobody@demo-project.iam.gserviceaccount.com'),
      ])
      expect(missing).toMatch(
        /Revision 'missing-00001-\w{3}' is not ready and cannot serve traffic\. Image 'gcr\.io\/demo-project\/nothing' not found\./,
      )
      expect(foreign).toContain(
        'Expected an image path like [host/]repo-path[:tag and/or @digest], where host is one of [region.]gcr.io, [region-]docker.pkg.dev or docker.io but obtained registry.example/a/b',
      )
      expect(account).toContain(
        "Permission 'iam.serviceaccounts.actAs' denied on service account nobody@demo-project.iam.gserviceaccount.com (or it may not exist).",
      )
    },
  )

  gcloudTest(
    'facts 8.2, 8.3: CPU and memory that do not go together, concurrency of half a CPU, a reserved variable',
    async () => {
      const [memory, concurrency, reserved] = await Promise.all([
        deploy('memory', IMAGE, '--cpu 1 --memory 8Gi'),
        deploy('concurrency', IMAGE, '--cpu 0.5 --concurrency 80'),
        deploy('reserved', IMAGE, '--set-env-vars K_SERVICE=x'),
      ])
      expect(memory).toContain('For 1.0 CPU, memory must be between 128Mi and 4Gi inclusive.')
      expect(concurrency).toContain('Total cpu < 1 is not supported with concurrency > 1.')
      expect(reserved).toContain('The following reserved env names were provided: K_SERVICE.')
    },
  )

  gcloudTest('an API that is disabled: gcloud enables it and goes on', async () => {
    await shell.ok('gcloud services disable run.googleapis.com')
    expect(await shell.fails('gcloud run services list')).toContain(
      'Cloud Run Admin API has not been used in project demo-project before or it is disabled.',
    )
    // facts gcloud 4.4: where nobody can be asked it is enabled.
    const { exitCode, stderr } = await shell.run(
      `gcloud run deploy enabling --image ${IMAGE} --no-allow-unauthenticated`,
    )
    expect(exitCode).toBe(0)
    expect(stderr).toContain('run.googleapis.com')
  })
})
