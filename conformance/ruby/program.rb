# The official Ruby library: every step with its documented calls only.
#
# Prints a JSON line a step. After `call-refused` it waits for a line on standard input: the grant.
require "json"
gem "googleauth", ">= 1"
require "googleauth"

SCOPE = "https://www.googleapis.com/auth/cloud-platform".freeze
TASK = JSON.parse File.read(ARGV.fetch(0))

def report step, ok, detail
  puts JSON.generate(step: step, ok: ok, detail: detail.to_s)
  $stdout.flush
end

# The block answers with what came, and what should have.
def step name
  actual, expected = yield
  report name, actual == expected, actual
rescue StandardError => e
  report name, false, "#{e.class}: #{e.message}"
end

def get url, headers
  Faraday.get url, nil, headers
end

def call_api credentials
  get(TASK["api"], credentials.apply({})).status
end

def call_service credentials
  get(TASK["service"], credentials.apply({})).status
end

gems = ["googleauth", "google-cloud-env", "signet"]
report "version", true, gems.map { |name| "#{name} #{Gem::Specification.find_by_name(name).version}" }.join(", ")

step("metadata") { [Google::Auth::GCECredentials.on_gce?, true] }
step("project-id") { [Google::Cloud.env.project_id, TASK["projectId"]] }
step "email" do
  [Google::Cloud.env.lookup_metadata("instance", "service-accounts/default/email"), TASK["email"]]
end
step("access-token") { [call_api(Google::Auth.get_application_default(SCOPE)), 200] }

caller = Google::Auth::GCECredentials.new target_audience: TASK["service"]
token = nil
step "id-token" do
  caller.fetch_access_token!
  token = caller.id_token
  [token.split(".").length, 3]
end
step("call-refused") { [call_service(caller), 403] }
$stdin.gets
step("call-granted") { [call_service(caller), 200] }
step "call-serverless" do
  own = "Basic bWluZQ=="
  response = get TASK["service"], "X-Serverless-Authorization" => "Bearer #{token}", "Authorization" => own
  [JSON.parse(response.body)["authorization"], own]
end

step "verify" do
  # A verifier's key source may be any; the default one is Google's.
  verify = lambda do |audience|
    next Google::Auth::IDTokens.verify_oidc token, aud: audience unless TASK["endpoint"]
    keys = Google::Auth::IDTokens::JwkHttpKeySource.new "#{TASK['endpoint']}/oauth2/v3/certs"
    issuers = Google::Auth::IDTokens::OIDC_ISSUERS
    Google::Auth::IDTokens::Verifier.new(key_source: keys, aud: audience, iss: issuers).verify token
  end
  begin
    verify.call "https://another.example.com"
    ["another audience was taken", "refused"]
  rescue Google::Auth::IDTokens::AudienceMismatchError
    [verify.call(TASK["service"])["email"], TASK["email"]]
  end
end

step "impersonate-access-token" do
  host = TASK["endpoint"] || "https://iamcredentials.googleapis.com"
  url = "#{host}/v1/projects/-/serviceAccounts/#{TASK['impersonate']}:generateAccessToken"
  source = Google::Auth.get_application_default SCOPE
  credentials = Google::Auth::ImpersonatedServiceAccountCredentials.make_creds(
    source_credentials: source, impersonation_url: url, scope: [SCOPE]
  )
  [call_api(credentials), 200]
end

def key options
  address = { token_credential_uri: JSON.parse(File.read(TASK["keyFile"]))["token_uri"] }
  # The library does not read token_uri from the file; its own default is another address of Google's.
  options = options.merge(address) if TASK["endpoint"]
  Google::Auth::ServiceAccountCredentials.make_creds json_key_io: File.open(TASK["keyFile"]), **options
end
step("key-access-token") { [call_api(key(scope: SCOPE)), 200] }
step("key-id-token") { [call_service(key(target_audience: TASK["service"])), 200] }

step "federation-access-token" do
  file = File.open TASK["federationAsAccountFile"]
  [call_api(Google::Auth::ExternalAccount::Credentials.make_creds(json_key_io: file, scope: [SCOPE])), 200]
end
