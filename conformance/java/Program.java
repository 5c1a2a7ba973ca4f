import com.google.api.client.http.GenericUrl;
import com.google.api.client.http.HttpHeaders;
import com.google.api.client.http.HttpRequest;
import com.google.api.client.http.HttpResponse;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.auth.Credentials;
import com.google.auth.http.HttpCredentialsAdapter;
import com.google.auth.oauth2.ComputeEngineCredentials;
import com.google.auth.oauth2.GoogleCredentials;
import com.google.auth.oauth2.IdTokenCredentials;
import com.google.auth.oauth2.IdTokenProvider;
import com.google.auth.oauth2.ImpersonatedCredentials;
import com.google.auth.oauth2.TokenVerifier;
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

/**
 * The official Java library: every step with its documented calls only.
 *
 * <p>Prints a JSON line a step. After {@code call-refused} it waits for a line on standard input: the grant.
 */
public final class Program {
  private static final String SCOPE = "https://www.googleapis.com/auth/cloud-platform";
  private static final NetHttpTransport TRANSPORT = new NetHttpTransport();

  /** What the program is told; see Task in steps.ts. */
  private record Task(
      String projectId,
      String email,
      String service,
      String api,
      String impersonate,
      String keyFile,
      String federationFile,
      String federationAsAccountFile,
      String endpoint) {}

  private interface Attempt {
    /** What came. */
    Object run() throws Exception;
  }

  private static void report(String step, boolean ok, Object detail) {
    JsonObject line = new JsonObject();
    line.addProperty("step", step);
    line.addProperty("ok", ok);
    line.addProperty("detail", String.valueOf(detail));
    System.out.println(line);
  }

  private static void step(String name, Object expected, Attempt attempt) {
    try {
      Object actual = attempt.run();
      report(name, Objects.equals(actual, expected), actual);
    } catch (Exception error) {
      report(name, false, error);
    }
  }

  public static void main(String[] args) throws Exception {
    Task task = new Gson().fromJson(Files.readString(Path.of(args[0])), Task.class);
    report("version", true, "google-auth-library-oauth2-http " + version());

    step("metadata", ComputeEngineCredentials.class, () -> GoogleCredentials.getApplicationDefault().getClass());
    step("project-id", task.projectId, () -> ComputeEngineCredentials.create().getProjectId());
    step("email", task.email, () -> ComputeEngineCredentials.create().getAccount());
    step("access-token", 200, () -> status(applicationDefault(), task.api));

    String[] token = {""};
    step("id-token", 3, () -> {
      token[0] = ComputeEngineCredentials.create().idTokenWithAudience(task.service, FULL).getTokenValue();
      return token[0].split("\\.").length;
    });
    IdTokenCredentials caller = idTokens(ComputeEngineCredentials.create(), task);
    step("call-refused", 403, () -> status(caller, task.service));
    new BufferedReader(new InputStreamReader(System.in)).readLine();
    step("call-granted", 200, () -> status(caller, task.service));
    String own = "Basic bWluZQ==";
    step("call-serverless", own, () -> {
      HttpRequest request = TRANSPORT.createRequestFactory().buildGetRequest(new GenericUrl(task.service));
      request.setHeaders(new HttpHeaders().setAuthorization(own).set("X-Serverless-Authorization", "Bearer " + token[0]));
      HttpResponse response = request.execute();
      return JsonParser.parseString(response.parseAsString()).getAsJsonObject().get("authorization").getAsString();
    });

    step("verify", task.email, () -> {
      try {
        verifier(task, "https://another.example.com").verify(token[0]);
        return "another audience was taken";
      } catch (TokenVerifier.VerificationException refused) {
        return verifier(task, task.service).verify(token[0]).getPayload().get("email");
      }
    });

    step("impersonate-access-token", 200, () -> status(impersonate(applicationDefault(), task), task.api));
    step("impersonate-id-token", 200, () -> status(idTokens(impersonate(applicationDefault(), task), task), task.service));

    step("key-access-token", 200, () -> status(read(task.keyFile), task.api));
    step("key-id-token", 200, () -> status(idTokens((IdTokenProvider) read(task.keyFile), task), task.service));

    step("federation-access-token", 200, () -> status(read(task.federationAsAccountFile), task.api));
    step("federation-id-token", 200, () -> status(idTokens(impersonate(read(task.federationFile), task), task), task.service));
    System.exit(0);
  }

  private static final List<IdTokenProvider.Option> FULL =
      List.of(IdTokenProvider.Option.FORMAT_FULL, IdTokenProvider.Option.INCLUDE_EMAIL);

  private static GoogleCredentials applicationDefault() throws IOException {
    return GoogleCredentials.getApplicationDefault().createScoped(SCOPE);
  }

  private static GoogleCredentials read(String file) throws IOException {
    try (InputStream stream = new FileInputStream(file)) {
      return GoogleCredentials.fromStream(stream).createScoped(SCOPE);
    }
  }

  private static ImpersonatedCredentials impersonate(GoogleCredentials source, Task task) {
    ImpersonatedCredentials.Builder builder =
        ImpersonatedCredentials.newBuilder()
            .setSourceCredentials(source)
            .setTargetPrincipal(task.impersonate)
            .setScopes(List.of(SCOPE))
            .setLifetime(3600);
    if (task.endpoint != null) {
      String account = "/v1/projects/-/serviceAccounts/" + task.impersonate;
      builder.setIamEndpointOverride(task.endpoint + account + ":generateAccessToken");
    }
    return builder.build();
  }

  private static IdTokenCredentials idTokens(IdTokenProvider provider, Task task) {
    return IdTokenCredentials.newBuilder()
        .setIdTokenProvider(provider)
        .setTargetAudience(task.service)
        .setOptions(FULL)
        .build();
  }

  private static TokenVerifier verifier(Task task, String audience) {
    TokenVerifier.Builder builder =
        TokenVerifier.newBuilder().setAudience(audience).setIssuer("https://accounts.google.com");
    if (task.endpoint != null) {
      builder.setCertificatesLocation(task.endpoint + "/oauth2/v3/certs");
    }
    return builder.build();
  }

  private static int status(Credentials credentials, String url) throws IOException {
    HttpRequest request =
        TRANSPORT.createRequestFactory(new HttpCredentialsAdapter(credentials)).buildGetRequest(new GenericUrl(url));
    request.setThrowExceptionOnExecuteError(false);
    HttpResponse response = request.execute();
    response.disconnect();
    return response.getStatusCode();
  }

  private static String version() throws IOException {
    // The library says its version in a header of its own requests, and in the name of its file.
    String file = GoogleCredentials.class.getProtectionDomain().getCodeSource().getLocation().getPath();
    return file.replaceAll(".*-([0-9][^/-]*)\\.jar$", "$1");
  }
}
