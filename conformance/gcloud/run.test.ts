/** `gcloud run services …` and `gcloud run revisions …` on services that are there. */
import { afterAll, beforeAll, describe, expect } from 'bun:test'
import { join } from 'node:path'
import { parse } from 'yaml'
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
  for (const name of ['one', 'two'])
    await shell.ok(
      `gcloud run deploy ${name} --image gcr.io/demo-project/receiving-service --no-allow-unauthenticated`,
    )
}, PATIENCE)

const describeService = (name: string) => shell.json(`gcloud run services describe ${name}`)

describe('services', () => {
  gcloudTest('list, of all regions and of one; describe; regions list', async () => {
    const [all, here, elsewhere, regions, description] = await Promise.all([
      shell.json('gcloud run services list'),
      shell.json('gcloud run services list --region us-central1'),
      shell.json('gcloud run services list --region europe-west1'),
      shell.json('gcloud run regions list'),
      shell.ok('gcloud run services describe one'),
    ])
    const names = (list: { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name)
    expect(names(all)).toEqual(['one', 'two'])
    expect(names(here)).toEqual(['one', 'two'])
    expect(elsewhere).toEqual([])
    expect(regions.map(({ locationId }: { locationId: string }) => locationId)).toContain('us-central1')
    expect(description).toContain('http://one-123456789012.us-central1.run.app')
    expect(description).toContain('123456789012-compute@developer.gserviceaccount.com')
  })

  gcloudTest('update makes a revision; replace takes what describe exports', async () => {
    await shell.ok('gcloud run services update one --update-env-vars COLOUR=blue')
    const updated = await describeService('one')
    expect(updated.status.latestReadyRevisionName).toStartWith('one-00002-')

    await shell.ok('gcloud run services describe one --format=export > service.yaml')
    const path = join(shell.folder, 'service.yaml')
    const text = await Bun.file(path).text()
    expect(parse(text)).toMatchObject({ kind: 'Service', metadata: { name: 'one' } })
    await Bun.write(path, text.replace('value: blue', 'value: green'))
    await shell.ok('gcloud run services replace service.yaml')
    const replaced = await describeService('one')
    expect(replaced.spec.template.spec.containers[0].env).toEqual([{ name: 'COLOUR', value: 'green' }])
    expect(replaced.status.latestReadyRevisionName).toStartWith('one-00003-')
  })

  gcloudTest(
    'update-traffic, by percent and by tag, and requests go so; revisions list and describe',
    async () => {
      const deploy = 'gcloud run deploy split --image gcr.io/demo-project/revision --no-invoker-iam-check'
      await shell.ok(deploy)
      await shell.ok(`${deploy} --no-traffic`)
      const url = 'http://split-123456789012.us-central1.run.app'
      const answers = async (at = url) =>
        new Set((await shell.ok(`for i in $(seq 60); do curl -s ${at}; echo; done`)).split('\n'))
      const statuses = async () => (await describeService('split')).status.traffic
      const revisions = await shell.json('gcloud run revisions list --service split')
      const names = revisions.map(({ metadata }: { metadata: { name: string } }) => metadata.name)
      expect(names).toHaveLength(2)
      const [newest, oldest] = names
      expect(await answers()).toEqual(new Set([oldest]))

      await shell.ok(`gcloud run services update-traffic split --to-revisions ${oldest}=75,${newest}=25`)
      const split = await statuses()
      expect(split).toContainEqual({ percent: 75, revisionName: oldest })
      expect(split).toContainEqual({ percent: 25, revisionName: newest })
      expect(await answers()).toEqual(new Set(names))

      await shell.ok(`gcloud run services update-traffic split --set-tags blue=${newest}`)
      await shell.ok(`gcloud run services update-traffic split --to-revisions ${oldest}=100`)
      const blue = 'http://blue---split-123456789012.us-central1.run.app'
      expect(await answers()).toEqual(new Set([oldest]))
      expect(await answers(blue)).toEqual(new Set([newest]))
      await shell.ok('gcloud run services update-traffic split --to-tags blue=100')
      expect(await statuses()).toEqual([
        { percent: 100, revisionName: newest },
        { revisionName: newest, tag: 'blue', url: blue },
      ])
      expect(await answers()).toEqual(new Set([newest]))
      await shell.ok('gcloud run services update-traffic split --to-latest --remove-tags blue')
      expect(await statuses()).toEqual([{ percent: 100, revisionName: newest, latestRevision: true }])
      expect(await shell.ok(`curl -s -o page -w '%{http_code}' ${blue}`)).toBe('404')

      const [described, text] = await Promise.all([
        shell.json(`gcloud run revisions describe ${oldest}`),
        shell.ok(`gcloud run revisions describe ${newest}`),
      ])
      expect(described.metadata.name).toBe(oldest)
      expect(text).toContain('gcr.io/demo-project/revision')
    },
  )

  gcloudTest('delete; what is not there says so', async () => {
    await shell.ok(
      'gcloud run deploy three --image gcr.io/demo-project/receiving-service --no-allow-unauthenticated',
    )
    await shell.ok('gcloud run services delete three --quiet')
    const [described, deleted] = await Promise.all([
      shell.fails('gcloud run services describe three'),
      shell.fails('gcloud run services delete three --quiet'),
    ])
    // facts 6.9
    expect(described).toContain('Cannot find service [three]')
    expect(deleted).toContain('three')
  })
})

describe('policies of services', () => {
  const MEMBER = 'user:somebody@example.com'
  const binding = `--member=${MEMBER} --role=roles/run.invoker`
  const policyOf = (name: string) => shell.json(`gcloud run services get-iam-policy ${name}`)

  gcloudTest(
    'facts gcloud 4.1: add and remove, over and over, with the etag as gcloud spells it',
    async () => {
      for (let round = 0; round < 3; round += 1) {
        await shell.ok(`gcloud run services add-iam-policy-binding one ${binding}`)
        expect((await policyOf('one')).bindings).toEqual([{ role: 'roles/run.invoker', members: [MEMBER] }])
        await shell.ok(`gcloud run services remove-iam-policy-binding one ${binding}`)
      }
      expect((await policyOf('one')).bindings).toBeUndefined()
    },
  )

  gcloudTest('--condition goes in and out', async () => {
    const condition = `--condition='expression=request.time < timestamp("2099-01-01T00:00:00Z"),title=for-now'`
    await shell.ok(`gcloud run services add-iam-policy-binding two ${binding} ${condition}`)
    expect((await policyOf('two')).bindings).toEqual([
      {
        role: 'roles/run.invoker',
        members: [MEMBER],
        condition: { expression: 'request.time < timestamp("2099-01-01T00:00:00Z")', title: 'for-now' },
      },
    ])
    await shell.ok(`gcloud run services remove-iam-policy-binding two ${binding} ${condition}`)
    expect((await policyOf('two')).bindings).toBeUndefined()
  })

  gcloudTest('set-iam-policy takes what get-iam-policy printed, once', async () => {
    await shell.ok('gcloud run services get-iam-policy one --format=json > policy.json')
    const path = join(shell.folder, 'policy.json')
    const policy = JSON.parse(await Bun.file(path).text())
    await Bun.write(
      path,
      JSON.stringify({ ...policy, bindings: [{ role: 'roles/run.viewer', members: [MEMBER] }] }),
    )
    await shell.ok('gcloud run services set-iam-policy one policy.json --quiet')
    expect((await policyOf('one')).bindings).toEqual([{ role: 'roles/run.viewer', members: [MEMBER] }])
    // facts 6.9: the etag in the file is a stale one now.
    expect(await shell.fails('gcloud run services set-iam-policy one policy.json --quiet')).toContain(
      'There were concurrent policy changes.',
    )
  })

  gcloudTest('facts 6.9: a member that does not exist and an unknown role', async () => {
    const add = (member: string, role: string) =>
      shell.fails(`gcloud run services add-iam-policy-binding one --member=${member} --role=${role}`)
    const nobody = 'nobody@demo-project.iam.gserviceaccount.com'
    const [member, role] = await Promise.all([
      add(`serviceAccount:${nobody}`, 'roles/run.invoker'),
      add(MEMBER, 'roles/run.nonsense'),
    ])
    expect(member).toContain(`Service account ${nobody} does not exist.`)
    expect(role).toContain('Role roles/run.nonsense is not supported for this resource.')
  })
})

describe('logs', () => {
  gcloudTest("logs read shows a refusal with Cloud Run's sentence (facts 1.2)", async () => {
    const { url } = (await describeService('one')).status
    await shell.ok(`curl -s ${url}/secret`)
    await shell.ok(`curl -s -H 'Authorization: Bearer nonsense' ${url}/`)
    const lines = (await shell.ok('gcloud run services logs read one')).split('\n')
    const following = (line: string) => lines[lines.findIndex((each) => each.endsWith(line)) + 1]
    expect(following(`GET 403 ${url}/secret`)).toContain('The request was not authenticated. ')
    expect(following(`GET 401 ${url}/`)).toContain(
      'The request was not authorized to invoke this service. The access token could not be verified. ',
    )
    // As Cloud Logging has it: one entry, with the request and the sentence.
    const [entry] = await shell.json(`gcloud logging read 'httpRequest.status=401' --limit=1`)
    expect(entry).toMatchObject({
      logName: 'projects/demo-project/logs/run.googleapis.com%2Frequests',
      httpRequest: { status: 401, requestUrl: `${url}/` },
      severity: 'WARNING',
    })
    expect(entry.textPayload).toStartWith('The request was not authorized to invoke this service.')
  })
})
