/** Cloud Run's own answers to a caller that it does not let in, to the byte (facts 1.3, 1.4). A path is written with its query (facts 7.4). */

/** 401: a credential that is not a valid ID token for this service. */
export function unauthorizedPage(path: string): Response {
  const sentence = `Your client does not have permission to the requested URL <code>${Bun.escapeHTML(path)}</code>.`
  return page(401, 'Unauthorized', sentence, {
    // facts 1.3: a space between the two parameters, no comma.
    'www-authenticate':
      'Bearer error="invalid_token" error_description="The access token could not be verified"',
  })
}

/** 403: no credential, or one of somebody who may not call. */
export function forbiddenPage(path: string): Response {
  const sentence = `Your client does not have permission to get URL <code>${Bun.escapeHTML(path)}</code> from this server.`
  return page(403, 'Forbidden', sentence)
}

// facts 1.4: pages start and end with a newline.
function page(
  status: number,
  reason: string,
  sentence: string,
  headers: Record<string, string> = {},
): Response {
  const body = `
<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>${status} ${reason}</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: ${reason}</h1>
<h2>${sentence}</h2>
<h2></h2>
</body></html>
`
  return new Response(body, { status, headers: { 'content-type': 'text/html; charset=UTF-8', ...headers } })
}
